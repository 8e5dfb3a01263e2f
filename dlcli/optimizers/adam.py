"""Adam and AdamW, which differ only in their weight decay."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.optimizers.base import (
    Betas,
    Epsilon,
    LearningRate,
    OptimizerConfig,
    WeightDecay,
)
from dlcli.optimizers.update_state import UpdateState


class _AdamLike(OptimizerConfig):
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    amsgrad: bool = Field(False, description="use the largest mean square seen so far")

    high_lr: ClassVar[float] = 0.1

    def initial_state(self) -> dict[str, float]:
        """Keep averages of gradient and square; for amsgrad, the largest of the latter."""
        keys = ("exp_avg", "exp_avg_sq", *("max_exp_avg_sq",) * self.amsgrad)
        return dict.fromkeys(keys, 0.0)

    def update(self, run: UpdateState) -> None:
        """Step along the mean gradient over the root of its mean square."""
        if run.views is None:
            self._update_many(run)
            return
        import torch

        fused = torch._fused_adamw_ if self.has_decoupled_weight_decay else torch._fused_adam_
        fused(
            run.views.values,
            run.views.gradients,
            run.views.state["exp_avg"],
            run.views.state["exp_avg_sq"],
            run.views.state["max_exp_avg_sq"] if self.amsgrad else [],
            [run.state["step"]] * len(run.views.values),
            lr=run.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=run.single_weight_decay,
            eps=self.eps,
            amsgrad=self.amsgrad,
            maximize=False,
        )

    def _update_many(self, run: UpdateState) -> None:
        import torch

        if self.has_decoupled_weight_decay and run.has_weight_decay:
            run.values.mul_(1 - run.lr * run.weight_decay)
        decay = 0.0 if self.has_decoupled_weight_decay else run.weight_decay
        exp_avg, exp_avg_sq, correction1, correction2 = run.adam_moments(
            run.decayed_gradient(decay), self.betas
        )
        if self.amsgrad:
            largest = run.state["max_exp_avg_sq"]
            exp_avg_sq = torch.maximum(largest, exp_avg_sq, out=largest)
        denominator = exp_avg_sq.div(correction2).sqrt_().add_(self.eps)
        run.add_quotient(exp_avg, denominator, -run.lr / correction1)


@final
class Adam(_AdamLike):
    """Steps scaled by running means of the gradient and its square."""

    type: Literal["adam"]

    is_usual: ClassVar[bool] = True


@final
class AdamW(_AdamLike):
    """Adam with decoupled weight decay: not part of the gradient."""

    type: Literal["adamw"]
    weight_decay: WeightDecay = 1e-2

    is_usual: ClassVar[bool] = True
    has_decoupled_weight_decay: ClassVar[bool] = True

    def simplified(self) -> OptimizerConfig:
        """Without weight decay it is Adam."""
        if self.weight_decay:
            return self
        settings = {name: getattr(self, name) for name in Adam.model_fields if name != "type"}
        return Adam(type="adam", **settings)
