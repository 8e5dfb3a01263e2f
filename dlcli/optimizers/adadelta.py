"""Adadelta."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import Fraction


@final
class Adadelta(OptimizerConfig):
    """Steps scaled by the running size of past steps and gradients."""

    type: Literal["adadelta"]
    lr: LearningRate = 1.0
    rho: Fraction = Field(0.9, description="decay rate of the running means")
    eps: Epsilon = 1e-6

    is_usual: ClassVar[bool] = True
    high_lr: ClassVar[float] = 100.0

    def initial_state(self) -> dict[str, float]:
        """Keep the mean squares of the gradient and of the steps."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient, rescaled to the size of past steps."""
        gradient, square_avg = run.decayed_gradient(run.weight_decay), run.state["square_avg"]
        acc_delta = run.state["acc_delta"]
        square_avg.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        std = square_avg.add(self.eps).sqrt_()
        delta = acc_delta.add(self.eps).sqrt_().div_(std).mul_(gradient)
        acc_delta.mul_(self.rho).addcmul_(delta, delta, value=1 - self.rho)
        run.add(delta, -run.lr)
