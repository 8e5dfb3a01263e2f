"""RAdam."""

from typing import ClassVar, Literal, final

from dlcli.optimizers.base import Betas, Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState


@final
class RAdam(OptimizerConfig):
    """Adam that takes plain momentum steps until its mean square is reliable."""

    type: Literal["radam"]
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8

    high_lr: ClassVar[float] = 0.1

    def initial_state(self) -> dict[str, float]:
        """Keep the averages of the gradient and of its square."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, run: UpdateState) -> None:
        """Step along the mean gradient, over the root of its mean square once it is reliable."""
        exp_avg, exp_avg_sq, correction1, correction2 = run.adam_moments(
            run.decayed_gradient(run.weight_decay), self.betas
        )
        beta2 = self.betas[1]
        change = (exp_avg / correction1) * run.lr
        limit = 2 / (1 - beta2) - 1  # of rho, the length of the mean square's memory
        rho = limit - 2 * run.num_steps * beta2**run.num_steps / correction2
        if rho > 5:  # as torch.optim has it; the paper says 4
            adaptive = correction2**0.5 / exp_avg_sq.sqrt().add_(self.eps)
            rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            change = change * adaptive * rectified**0.5
        run.add(change, -1.0)
