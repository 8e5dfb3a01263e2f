"""Where the arithmetic is done, and in which precision."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dlcli.config.sections.training import Precision
from dlcli.errors import ConfigError, OutOfMemoryError
from dlcli.section import NonNegativeInt, PositiveFloat
from dlcli.training.optimizers import FlatParameters, Optimizer


@dataclass(frozen=True)
class Placement:
    """A device and a precision, with the reason for them."""

    device: torch.device
    dtype: torch.dtype  # of the forward pass; weights and losses are float32
    reason: str
    has_tf32: bool = False  # products of float32 numbers round their factors to 10 bits

    def autocast(self) -> torch.autocast:
        """Return the context in which the forward pass is computed."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if enabled else None, enabled)


def choose_placement(device: str, precision: Precision, local_rank: int | None = None) -> Placement:
    """Choose by the config's words; ConfigError where this machine doesn't have what they name.

    Of several processes on this machine, each has a rank among them, and a GPU of its own.
    """
    kind, _, index = device.partition(":")
    if local_rank is not None and index:
        raise ConfigError(
            f"training.device: {device} is one GPU, and each process needs its own; use cuda"
        )
    has_cuda = torch.cuda.is_available()
    if kind == "auto":
        kind = "cuda" if has_cuda else "cpu"
        reason = "a CUDA GPU is here" if has_cuda else "PyTorch sees no CUDA GPU"
    else:
        reason = "training.device says so"
    num_gpus = torch.cuda.device_count()
    if kind == "cuda" and local_rank is not None and num_gpus:
        index = str(local_rank)
        if local_rank >= num_gpus:
            raise ConfigError(
                f"process {local_rank} of this machine has no GPU: PyTorch sees {num_gpus}; start "
                f"at most {num_gpus} processes on it, or set training.device: cpu"
            )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"training.device: {device} is not here: PyTorch sees {torch.cuda.device_count()} CUDA "
            "GPUs; use auto or cpu"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("training.device: mps is not here; use auto or cpu")
    if precision == "tf32" and kind != "cuda":
        raise ConfigError(f"training.precision: {kind} has no tf32; use auto, fp32 or bf16")
    if kind == "cuda":
        reason = f"{reason}: {torch.cuda.get_device_name(int(index or 0))}"
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    # auto is fp32: networks for tables are too small for less to be faster.
    dtype = dtypes.get(precision, torch.float32)
    if precision not in ("auto", "fp32"):
        reason += f"; training.precision says {precision}"
    if kind == "cpu" and dtype != torch.float32 and not _multiplies(dtype):
        reason += ", which this processor doesn't multiply: fp32 is faster"
    torch_device = torch.device(f"{kind}:{index}" if index else kind)
    return Placement(torch_device, dtype, reason, has_tf32=precision == "tf32")


def _multiplies(dtype: torch.dtype) -> bool:
    """Say whether the processor has instructions for products of such numbers, or can't tell."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older PyTorch
        return True
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("architecture") != "x86_64":
        return True  # these instructions have names for that one only
    kind = "bf16" if dtype == torch.bfloat16 else "fp16"
    return bool(capabilities.get(f"avx512_{kind}") or capabilities.get(f"amx_{kind}"))


def choose_placement_anew(precision: Precision) -> Placement:
    """Choose for a trained network, wherever that was: a GPU if one is here.

    Its precision stays, but for tf32 without a GPU: fp32, of which tf32 is an approximation.
    """
    return choose_placement(
        "auto", "fp32" if precision == "tf32" and not torch.cuda.is_available() else precision
    )


def configure_torch(placement: Placement) -> None:
    """Set what torch has one of in a process, once for all that is computed there."""
    if placement.device.type != "cuda":
        return
    # Repeatable sums, for the same weights from the same seed; cuBLAS reads this at its start.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # That would fill all new memory too, a kernel each; nothing here reads what nothing wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Otherwise PyTorch takes tf32 for convolutions, and not for other products.
    products = "tf32" if placement.has_tf32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = products
    torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ScalerState:
    """What a GradientScaler remembers from step to step."""

    scale: PositiveFloat
    num_steps: NonNegativeInt  # without an overflow, since the scale last changed


class GradientScaler:
    """Keeps fp16's gradients from vanishing; does nothing for other precisions."""

    def __init__(self, placement: Placement) -> None:
        enabled = placement.dtype == torch.float16
        self.enabled = enabled
        self._scaler = torch.amp.GradScaler(placement.device.type, enabled=enabled)

    @property
    def scale(self) -> float:
        """The factor that gradients are multiplied by on their way."""
        return self._scaler.get_scale()

    def capture(self) -> ScalerState | None:
        """Return its state; None where it does nothing."""
        if not self.enabled:
            return None
        state = self._scaler.state_dict()
        return ScalerState(scale=state["scale"], num_steps=state["_growth_tracker"])

    def put_back(self, state: ScalerState) -> None:
        """Take a captured state."""
        changed = {"scale": state.scale, "_growth_tracker": state.num_steps}
        self._scaler.load_state_dict(self._scaler.state_dict() | changed)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """Return a loss of the size at which its gradients don't vanish."""
        return self._scaler.scale(loss)

    def unscale(self, optimizer: Optimizer[FlatParameters]) -> None:
        """Bring the gradient to its own size."""
        if self.enabled:
            self._scaler.unscale_(optimizer)  # type: ignore[arg-type]

    def step(self, optimizer: Optimizer[FlatParameters]) -> None:
        """Let the optimizer step, unless fp16 overflowed, which only lowers the scale."""
        if not self.enabled:
            optimizer.step()
            return
        self._scaler.step(optimizer)  # type: ignore[arg-type]
        self._scaler.update()


@contextmanager
def memory_explained(
    device: torch.device, what: str, repair: str | Callable[[], str]
) -> Iterator[None]:
    """Turn torch's several ways to say that memory is full into OutOfMemoryError.

    `repair` is what to do, or finds it out once what filled the memory is gone.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if not isinstance(repair, str):
            traceback.clear_frames(error.__traceback__)  # they hold what was allocated
            repair = repair()
        raise OutOfMemoryError(f"{device} has too little memory for {what}; {repair}") from None


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Say whether torch ran out of memory."""
    full = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return full or "allocate memory" in str(error)
