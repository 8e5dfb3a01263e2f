"""Stochastic gradient descent, with momentum."""

from typing import Any, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.optimizers.base import LearningRate, Momentum, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import Fraction


@final
class Sgd(OptimizerConfig):
    """Gradient descent: the gradient times the learning rate."""

    type: Literal["sgd"]
    lr: LearningRate = 1e-3
    momentum: Momentum = 0.0
    dampening: Fraction = Field(0.0, description="share of the gradient left out of the momentum")
    nesterov: bool = Field(False, description="Nesterov momentum")

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9, "nesterov": True},
    }
    is_usual: ClassVar[bool] = True
    high_lr: ClassVar[float] = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError("`nesterov` needs `momentum` above 0 and `dampening` 0")
        if self.dampening and not self.momentum:
            raise ValueError("`dampening` does nothing without `momentum`")
        return self

    @property
    def shrinks_weights_directly(self) -> bool:
        """Weight decay is added to the gradient, which nothing rescales."""
        return True

    def initial_state(self) -> dict[str, float]:
        """Keep the momentum buffer."""
        return {"momentum_buffer": 0.0} if self.momentum else {}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient or the momentum buffer."""
        if run.views is None:
            self._update_many(run)
            return
        import torch

        torch._fused_sgd_(
            run.views.values,
            run.views.gradients,
            run.views.state["momentum_buffer"] if self.momentum else [],
            weight_decay=run.single_weight_decay,
            momentum=self.momentum,
            lr=run.lr,
            dampening=self.dampening,
            nesterov=self.nesterov,
            maximize=False,
            is_first_step=run.num_steps == 1,
        )

    def _update_many(self, run: UpdateState) -> None:
        change = run.decayed_gradient(run.weight_decay)
        if self.momentum:
            buffer = run.state["momentum_buffer"]
            if run.num_steps == 1:
                buffer.copy_(change)
            else:
                buffer.mul_(self.momentum).add_(change, alpha=1 - self.dampening)
            change = change.add(buffer, alpha=self.momentum) if self.nesterov else buffer
        run.add(change, -run.lr)
