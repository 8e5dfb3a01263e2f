"""Averaged gradient descent.

Polyak and Juditsky 1992, *Acceleration of stochastic approximation by averaging*.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


@final
class Asgd(OptimizerConfig):
    """Gradient descent whose weights are averaged from step `t0` on; the average is judged."""

    type: Literal["asgd"]
    lr: LearningRate = 1e-2
    lambd: NonNegativeFloat = Field(1e-4, description="decay of the weights and of the steps")
    alpha: NonNegativeFloat = Field(0.75, description="power of the decay of the steps")
    t0: NonNegativeFloat = Field(1e6, description="step from which on the weights are averaged")

    high_lr: ClassVar[float] = 1.0
    averages_weights: ClassVar[bool] = True
    scalars_of_lr: ClassVar[frozenset[str]] = frozenset({"eta"})

    @property
    def shrinks_weights_directly(self) -> bool:
        """Weight decay is added to the gradient, which nothing rescales."""
        return True

    def initial_state(self) -> dict[str, float]:
        """Keep the average."""
        return {"ax": 0.0}

    def initial_scalars(self) -> dict[str, float]:
        """Keep the length of the next step and its share in the average."""
        return {"eta": 0.0, "mu": 1.0}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient, and take the weights into the average."""
        import torch

        eta, mu, average = run.state["eta"], run.state["mu"], run.state["ax"]
        if run.num_steps == 1:
            eta.copy_(torch.as_tensor(run.lr))
        length: float | Tensor = eta.item() if eta.dim() == 0 else eta.clone()
        gradient = run.decayed_gradient(run.weight_decay)
        if gradient is run.gradient:
            gradient = gradient.clone()
        run.values.mul_(1 - self.lambd * length)
        run.add(gradient, -length)
        if mu.item() == 1:
            average.copy_(run.values)
        else:
            average.add_(run.values.sub(average).mul_(mu))
        decay = (1 + self.lambd * run.lr * float(run.num_steps)) ** self.alpha
        eta.copy_(torch.as_tensor(run.lr / decay))
        mu.fill_(1 / max(1, run.num_steps - self.t0))

    def judged_values(self, run: UpdateState) -> "Tensor | None":
        """Return the average."""
        return run.state["ax"] if run.num_steps else None
