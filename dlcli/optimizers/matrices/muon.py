"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), and AdamW beside it."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import (
    Betas,
    Epsilon,
    LearningRate,
    Momentum,
    OptimizerConfig,
    WeightDecay,
)
from dlcli.optimizers.update_state import ParameterPart, UpdateState
from dlcli.section import ALL_DEFAULTS, PositiveFloat, Section

if TYPE_CHECKING:
    from torch import Tensor

_Coefficient = Annotated[float, Field(ge=-100, le=100)]


class AdamWBeside(Section):
    """AdamW for the parameters that are no matrices, with the same weight decay."""

    lr_factor: PositiveFloat = Field(1.0, description="AdamW's learning rate over `lr`")
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8


@final
class Muon(OptimizerConfig):
    """Momentum made orthogonal, for matrices; AdamW for all other parameters."""

    type: Literal["muon"]
    lr: LearningRate = 1e-3
    weight_decay: WeightDecay = 0.1
    momentum: Momentum = 0.95
    nesterov: bool = Field(True, description="Nesterov momentum")
    ns_coefficients: tuple[_Coefficient, _Coefficient, _Coefficient] = Field(
        (3.4445, -4.775, 2.0315),
        strict=False,
        description="coefficients of the Newton-Schulz iteration",
    )
    eps: Epsilon = 1e-7
    ns_steps: int = Field(5, ge=1, lt=100, description="Newton-Schulz iterations of a step")
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = Field(
        None,
        description="how a matrix's shape changes its learning rate: by the root of max(1, rows / "
        "columns) (original, the default), or so that steps are as long as AdamW's",
    )
    adamw: AdamWBeside = Field(
        ALL_DEFAULTS,
        validate_default=True,
        description="AdamW, for what is no matrix",
    )

    high_lr: ClassVar[float] = 1.0
    has_decoupled_weight_decay: ClassVar[bool] = True

    def initial_state(self) -> dict[str, float]:
        """Keep nothing for each number alike."""
        return {}

    def state_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Keep a matrix's momentum; of others, the averages of gradient and square."""
        keys = ("momentum_buffer",) if len(shape) == 2 else ("exp_avg", "exp_avg_sq")
        return dict.fromkeys(keys, shape)

    def update(self, run: UpdateState) -> None:
        """Step along the orthogonal matrix nearest to the momentum, or as AdamW does."""
        for part in run.parts():
            if "momentum_buffer" in part.state:
                self._update_matrix(run, part)
            else:
                self._update_other(run, part)

    def _update_matrix(self, run: UpdateState, part: ParameterPart) -> None:
        buffer = part.state["momentum_buffer"].lerp_(part.gradient, 1 - self.momentum)
        change = part.gradient.lerp(buffer, self.momentum) if self.nesterov else buffer
        lr = part.factor(run.lr)
        part.values.mul_(1 - lr * part.factor(run.weight_decay))
        part.add(self._orthogonal(change), -lr * self._lr_factor(*change.shape[-2:]))

    def _lr_factor(self, num_rows: int, num_columns: int) -> float:
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * math.sqrt(max(num_rows, num_columns))
        return math.sqrt(max(1, num_rows / num_columns))

    def _orthogonal(self, matrices: "Tensor") -> "Tensor":
        """Return matrices, [..., rows, columns], with singular values near 1, in bfloat16."""
        import torch

        if matrices.dim() == 3:  # of many runs: one by one, for the bits of single ones
            return torch.stack([self._orthogonal(matrix) for matrix in matrices])
        a, b, c = self.ns_coefficients
        is_tall = matrices.size(0) > matrices.size(1)
        found = matrices.bfloat16()
        found = found.T if is_tall else found
        found.div_(found.norm().clamp(min=self.eps))
        for _ in range(self.ns_steps):
            gram = found @ found.T
            found = torch.addmm(
                found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a
            )
        return found.T if is_tall else found

    def _update_other(self, run: UpdateState, part: ParameterPart) -> None:
        beta1, beta2 = self.adamw.betas
        lr = part.factor(run.lr) * self.adamw.lr_factor
        part.values.mul_(1 - lr * part.factor(run.weight_decay))
        exp_avg = part.state["exp_avg"].lerp_(part.gradient, 1 - beta1)
        exp_avg_sq = part.state["exp_avg_sq"].mul_(beta2)
        exp_avg_sq.addcmul_(part.gradient, part.gradient, value=1 - beta2)
        correction1, correction2 = 1 - beta1**run.num_steps, 1 - beta2**run.num_steps
        denominator = (exp_avg_sq.sqrt() / correction2**0.5).add_(self.adamw.eps)
        part.add_quotient(exp_avg, denominator, -lr / correction1)
