"""How steps are computed, and why so."""

from dataclasses import dataclass
from typing import Literal

import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.errors import ConfigError
from dlcli.network.obstacles import recording_obstacle
from dlcli.network.plan import Plan
from dlcli.training.device import Placement
from dlcli.training.rows.like_lengths import num_widths

_TENSORS_A_NUMBER = 4  # that a recorded step keeps of each number of the layers' outputs
_MAX_BYTES = 2**30  # that a recording may keep: beyond, memory is worth more than overhead


@dataclass(frozen=True)
class Engine:
    """A way to compute steps, with the reason for it."""

    name: Literal["eager", "captured"]
    reason: str


def choose_engine(
    settings: TrainingConfig, placement: Placement, plan: Plan, num_rows: int
) -> Engine:
    """Choose by the config's word, for so many training rows; ConfigError where it can't be."""
    wanted = settings.engine
    if wanted == "eager":
        return Engine("eager", "training.engine says so")
    obstacle = _obstacle(placement) or recording_obstacle(plan)
    if wanted == "captured":
        if obstacle is not None:
            raise ConfigError(f"training.engine: captured can't be: {obstacle}; use auto or eager")
        return Engine("captured", "training.engine says so")
    if obstacle is not None:
        return Engine("eager", obstacle)
    if placement.device.type == "cuda":
        return Engine("eager", "CUDA graphs are taken where training.engine: captured says so")
    sequences = plan.signature.sequences
    if len(sequences) > 1:
        return Engine("eager", "batches of several columns of sequences rarely have equal lengths")
    if sequences and settings.accumulate_batches > 1:
        return Engine("eager", "steps of several batches of sequences rarely have equal lengths")
    num_bytes: float = recorded_bytes(settings, plan, num_rows)
    if sequences:
        num_bytes *= num_widths(sequences[0].longest)
    if num_bytes > _MAX_BYTES:
        what = "recorded steps" if sequences else "a recorded step"
        return Engine("eager", f"{what} would keep {num_bytes / 2**30:.1f} GiB")
    return Engine("captured", "the same operations with less overhead")


def recorded_bytes(settings: TrainingConfig, plan: Plan, num_rows: int) -> int:
    """Return the memory that a recorded step on so many training rows keeps; of a shard, if cut."""
    rows = min(settings.rows_per_shard(num_rows) * settings.accumulate_batches, num_rows)
    return _TENSORS_A_NUMBER * plan.activation_bytes(rows)


def _obstacle(placement: Placement) -> str | None:
    if placement.device.type not in ("cpu", "cuda"):
        return f"steps on {placement.device.type} can't be recorded"
    if placement.dtype == torch.float16:
        return "fp16 decides at each step whether to take it"
    return None
