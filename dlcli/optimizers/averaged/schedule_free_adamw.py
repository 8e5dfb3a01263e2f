"""Schedule-free AdamW (Defazio et al. 2024, *The road less scheduled*, arXiv:2405.15682).

The weights that train, y, lie between those of an AdamW without momentum, z, and their average, x:
y = (1 − beta1) z + beta1 x. Gradients are those at y; x is judged and predicted with.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.optimizers.base import Betas, Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


@final
class ScheduleFreeAdamW(OptimizerConfig):
    """AdamW with an average of its weights in place of a schedule; the average is judged."""

    type: Literal["schedulefree_adamw"]
    lr: LearningRate = 2.5e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    r: NonNegativeFloat = Field(0.0, description="power of the step's number in its weight")
    weight_lr_power: NonNegativeFloat = Field(
        2.0, description="power of the largest learning rate so far in a step's weight"
    )

    high_lr: ClassVar[float] = 0.1
    has_decoupled_weight_decay: ClassVar[bool] = True
    replaces_schedule: ClassVar[bool] = True
    averages_weights: ClassVar[bool] = True
    scalars_of_lr: ClassVar[frozenset[str]] = frozenset({"lr_max", "weight_sum"})
    has_double_scalars: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.betas[0]:
            raise ValueError("`betas[0]` must be above 0: with 0 there is no average to train with")
        return self

    def initial_state(self) -> dict[str, float]:
        """Keep the weights of AdamW, and the average of the gradient's square."""
        return {"z": 0.0, "exp_avg_sq": 0.0}

    def initial_scalars(self) -> dict[str, float]:
        """Keep the largest learning rate so far, and the sum of all steps' weights."""
        return {"lr_max": 0.0, "weight_sum": 0.0}

    def update(self, run: UpdateState) -> None:
        """Take AdamW's step, and move between its weights and their average."""
        base, exp_avg_sq = run.state["z"], run.state["exp_avg_sq"]
        if run.num_steps == 1:
            base.copy_(run.values)
        share = self._share_in_average(run)
        exp_avg_sq.mul_(self.betas[1])
        exp_avg_sq.addcmul_(run.gradient, run.gradient, value=1 - self.betas[1])
        correction = 1 - self.betas[1] ** run.num_steps
        change = run.gradient / exp_avg_sq.div(correction).sqrt_().add_(self.eps)
        change = run.decayed(change, run.weight_decay)
        run.values.lerp_(base, share)
        run.add(change, run.lr * (self.betas[0] * (1 - share) - 1))
        base.sub_(change * run.lr)

    def judged_values(self, run: UpdateState) -> "Tensor | None":
        """Return the average."""
        return run.values.lerp(run.state["z"], 1 - 1 / self.betas[0]) if run.num_steps else None

    def _share_in_average(self, run: UpdateState) -> "float | Tensor":
        """Return the weight of this step over that of all so far; of many runs, [runs, 1]."""
        import torch

        lr_max, weight_sum = run.state["lr_max"], run.state["weight_sum"]
        torch.maximum(lr_max, torch.as_tensor(run.lr).to(lr_max), out=lr_max)
        weight = lr_max**self.weight_lr_power * run.num_steps**self.r
        weight_sum.add_(weight)
        share = torch.where(weight_sum > 0, weight / weight_sum, 0.0)
        return share.item() if share.dim() == 0 else share.to(run.values.dtype)
