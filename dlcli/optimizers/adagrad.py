"""Adagrad."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import NonNegativeFloat


@final
class Adagrad(OptimizerConfig):
    """Steps scaled by the sum of all squared gradients so far."""

    type: Literal["adagrad"]
    lr: LearningRate = 1e-2
    lr_decay: NonNegativeFloat = Field(
        0.0, description="learning-rate decay: lr / (1 + step × lr_decay)"
    )
    initial_accumulator_value: NonNegativeFloat = Field(
        0.0, description="initial sum of squared gradients"
    )
    eps: Epsilon = 1e-10

    is_usual: ClassVar[bool] = True
    high_lr: ClassVar[float] = 1.0

    def initial_state(self) -> dict[str, float]:
        """Keep the sum of squared gradients."""
        return {"sum": self.initial_accumulator_value}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient over the root of the sum of its squares."""
        gradient, total = run.decayed_gradient(run.weight_decay), run.state["sum"]
        lr = run.lr / (1 + (run.num_steps - 1) * self.lr_decay)
        total.addcmul_(gradient, gradient, value=1)
        run.add_quotient(gradient, total.sqrt().add_(self.eps), -lr)
