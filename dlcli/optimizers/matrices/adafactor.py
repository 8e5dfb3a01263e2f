"""Adafactor (Shazeer and Stern 2018, *Adaptive learning rates with sublinear memory cost*)."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import ParameterPart, UpdateState
from dlcli.section import PositiveFloat

if TYPE_CHECKING:
    from torch import Tensor

_FLOAT32_EPS = 2.0**-23


@final
class Adafactor(OptimizerConfig):
    """Steps scaled by the root mean squares of rows and columns, in little memory."""

    type: Literal["adafactor"]
    lr: LearningRate = 1e-2
    beta2_decay: Annotated[float, Field(ge=-10, le=0)] = Field(
        -0.8, description="power of the step's number: weight of the newest square in the mean"
    )
    eps: tuple[PositiveFloat | None, PositiveFloat] = Field(
        (None, 1e-3),
        strict=False,
        description="smallest root mean square of the gradient (default: the precision of float32) "
        "and of a parameter",
    )
    d: float = Field(1.0, ge=1, description="longest step, in root mean squares")

    high_lr: ClassVar[float] = 1.0
    has_decoupled_weight_decay: ClassVar[bool] = True

    def initial_state(self) -> dict[str, float]:
        """Keep nothing for each number alike."""
        return {}

    def state_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Keep mean squares: of the rows and of the columns, or of a vector's numbers."""
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient over its root mean square, as long as the parameter is large."""
        for part in run.parts():
            self._update_part(run, part)

    def _update_part(self, run: UpdateState, part: ParameterPart) -> None:
        step = float(run.num_steps)
        lr = part.factor(run.lr)
        size = part.norm(part.values) / part.num_numbers**0.5
        length = _largest(self.eps[1], size) * _smallest(1 / step**0.5, lr)
        if run.has_weight_decay:
            part.values.mul_(1 - lr * part.factor(run.weight_decay))
        change = self._mean_squares(part, step**self.beta2_decay)
        least = (self.eps[0] or _FLOAT32_EPS) ** 2
        change = change.clamp_(min=least).rsqrt_().mul_(part.gradient)
        excess = part.norm(change) / (part.num_numbers**0.5 * self.d)
        part.add(change, -length / _largest(1.0, excess))

    def _mean_squares(self, part: ParameterPart, weight: float) -> "Tensor":
        """Take in the gradient; return an estimate of the mean square of each of its numbers."""
        import torch

        gradient = part.gradient
        if "variance" in part.state:
            return part.state["variance"].lerp_(gradient * gradient, weight).clone()
        rows, columns = part.state["row_var"], part.state["col_var"]
        for means, axis in ((rows, -1), (columns, -2)):
            norms = torch.norm(gradient, dim=axis, keepdim=True)
            means.lerp_(norms.square_().div_(gradient.size(axis)), weight)
        least = self.eps[0] or _FLOAT32_EPS
        return (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))


def _largest(number: float, other: "float | Tensor") -> "float | Tensor":
    return max(number, other) if isinstance(other, float) else other.clamp(min=number)


def _smallest(number: float, other: "float | Tensor") -> "float | Tensor":
    return min(number, other) if isinstance(other, float) else other.clamp(max=number)
