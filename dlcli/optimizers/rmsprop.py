"""RMSprop."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import Epsilon, LearningRate, Momentum, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import Fraction


@final
class RmsProp(OptimizerConfig):
    """Steps scaled by the running mean of the squared gradient."""

    type: Literal["rmsprop"]
    lr: LearningRate = 1e-2
    alpha: Fraction = Field(0.99, description="decay rate of the running mean")
    eps: Epsilon = 1e-8
    momentum: Momentum = 0.0
    centered: bool = Field(False, description="divide by the variance instead of the mean square")

    is_usual: ClassVar[bool] = True
    high_lr: ClassVar[float] = 0.1

    def initial_state(self) -> dict[str, float]:
        """Keep the mean square, the momentum buffer and, when centered, the mean gradient."""
        keys = (
            "square_avg",
            *("momentum_buffer",) * bool(self.momentum),
            *("grad_avg",) * self.centered,
        )
        return dict.fromkeys(keys, 0.0)

    def update(self, run: UpdateState) -> None:
        """Step along the gradient over the root of its mean square or variance."""
        gradient, square_avg = run.decayed_gradient(run.weight_decay), run.state["square_avg"]
        square_avg.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        if self.centered:
            mean = run.state["grad_avg"].lerp_(gradient, 1 - self.alpha)
            avg = square_avg.addcmul(mean, mean, value=-1).sqrt_()
        else:
            avg = square_avg.sqrt()
        avg.add_(self.eps)
        if self.momentum:
            buffer = run.state["momentum_buffer"]
            buffer.mul_(self.momentum).addcdiv_(gradient, avg)
            run.add(buffer, -run.lr)
        else:
            run.add_quotient(gradient, avg, -run.lr)
