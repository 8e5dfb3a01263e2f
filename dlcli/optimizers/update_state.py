"""What an update rule reads and changes in one step, for one run or for many stacked runs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ParameterViews:
    """Views of one run's flat tensors, one for each parameter, as fused kernels take them."""

    values: "list[Tensor]"
    gradients: "list[Tensor]"
    state: "dict[str, list[Tensor]]"

    def some(self, indices: "Sequence[int]") -> "ParameterViews":
        """Return those of some parameters."""

        def chosen(views: "list[Tensor]") -> "list[Tensor]":
            return [views[index] for index in indices]

        state = {key: chosen(views) for key, views in self.state.items()}
        return ParameterViews(chosen(self.values), chosen(self.gradients), state)


class _Values:
    """Values that a step changes, of one run or of many."""

    values: "Tensor"

    def add(self, change: "Tensor", factor: "float | Tensor") -> None:
        """Add factor × change to the parameters."""
        if isinstance(factor, float):
            self.values.add_(change, alpha=factor)
        else:
            self.values.addcmul_(change, factor)

    def add_quotient(
        self, numerator: "Tensor", denominator: "Tensor", factor: "float | Tensor"
    ) -> None:
        """Add factor × numerator / denominator to the parameters."""
        if isinstance(factor, float):
            self.values.addcdiv_(numerator, denominator, value=factor)
        else:
            self.values.addcmul_(numerator / denominator, factor)


@dataclass(frozen=True)
class ParameterPart(_Values):
    """One parameter, [*shape], or that of many runs, [runs, *shape], and what is kept about it."""

    values: "Tensor"
    gradient: "Tensor"
    state: "dict[str, Tensor]"
    has_runs: bool

    @property
    def num_numbers(self) -> int:
        """How many numbers it has, of one run."""
        return math.prod(self.values.shape[self.has_runs :])

    def factor(self, number: "float | Tensor") -> "float | Tensor":
        """Return a number, or one of each run, so that it can be multiplied with the parameter."""
        if isinstance(number, float | int):
            return number
        return number.view(-1, *(1,) * (self.values.dim() - 1))

    def norm(self, tensor: "Tensor") -> "float | Tensor":
        """Return the Euclidean norm; of many runs, so that it can be multiplied with them."""
        if not self.has_runs:
            return float(tensor.norm(2).item())
        return self.factor(tensor.flatten(1).norm(dim=1))


@dataclass(eq=False)
class UpdateState(_Values):
    """All parameters as one tensor, their gradient, and what the optimizer keeps about them.

    Tensors of one run are [numbers], those of many stacked runs [runs, numbers].
    """

    values: "Tensor"
    gradient: "Tensor"
    state: "dict[str, Tensor]"  # by torch.optim's keys: shaped like `values`, or scalars
    lr: "float | Tensor"  # of many runs: [runs, 1]
    weight_decay: "float | Tensor"  # of many runs also [runs, 1], where theirs differ
    num_steps: int  # the step under way included
    views: ParameterViews | None  # None: many runs, whose learning rates fused kernels can't take
    parts: Callable[[], list[ParameterPart]]  # for rules that treat each parameter by itself

    @property
    def single_weight_decay(self) -> float:
        """That of a single run, as fused kernels take it."""
        assert isinstance(self.weight_decay, float | int), "only stacked runs have one each"
        return self.weight_decay

    @property
    def has_weight_decay(self) -> bool:
        """Whether there is any."""
        return not isinstance(self.weight_decay, float | int) or bool(self.weight_decay)

    def decayed_gradient(self, weight_decay: "float | Tensor") -> "Tensor":
        """Return the gradient of the loss with an L2 penalty."""
        return self.decayed(self.gradient, weight_decay)

    def decayed(self, change: "Tensor", weight_decay: "float | Tensor") -> "Tensor":
        """Return a change plus weight decay × the parameters; itself where there is none."""
        if not isinstance(weight_decay, float | int):
            return change.addcmul(self.values, weight_decay)
        if not weight_decay:
            return change
        return change.add(self.values, alpha=weight_decay)

    def adam_moments(
        self, gradient: "Tensor", betas: tuple[float, float]
    ) -> "tuple[Tensor, Tensor, float, float]":
        """Update Adam's running means of the gradient and of its square.

        Returns both, `exp_avg` and `exp_avg_sq`, and the divisors that correct their bias.
        """
        beta1, beta2 = betas
        exp_avg = self.state["exp_avg"].lerp_(gradient, 1 - beta1)
        exp_avg_sq = self.state["exp_avg_sq"].mul_(beta2)
        exp_avg_sq.addcmul_(gradient, gradient, value=1 - beta2)
        return exp_avg, exp_avg_sq, 1 - beta1**self.num_steps, 1 - beta2**self.num_steps
