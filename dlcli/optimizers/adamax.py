"""Adamax."""

from typing import ClassVar, Literal, final

from dlcli.optimizers.base import Betas, Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState


@final
class Adamax(OptimizerConfig):
    """Adam with the largest gradient in place of the mean square."""

    type: Literal["adamax"]
    lr: LearningRate = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8

    high_lr: ClassVar[float] = 0.1

    def initial_state(self) -> dict[str, float]:
        """Keep the mean gradient and its decaying maximum."""
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, run: UpdateState) -> None:
        """Step along the mean gradient over its decaying maximum."""
        import torch

        gradient, exp_inf = run.decayed_gradient(run.weight_decay), run.state["exp_inf"]
        exp_avg = run.state["exp_avg"].lerp_(gradient, 1 - self.betas[0])
        largest = gradient.abs().add_(self.eps)
        torch.maximum(exp_inf.mul_(self.betas[1]), largest, out=exp_inf)
        lr = run.lr / (1 - self.betas[0] ** run.num_steps)
        run.add_quotient(exp_avg, exp_inf, -lr)
