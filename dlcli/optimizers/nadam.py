"""NAdam."""

from typing import ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.optimizers.base import Betas, Epsilon, LearningRate, OptimizerConfig
from dlcli.optimizers.update_state import UpdateState
from dlcli.section import NonNegativeFloat

_MOMENTUM_DECAY = 4e-3  # torch's default


@final
class NAdam(OptimizerConfig):
    """Adam with Nesterov momentum."""

    type: Literal["nadam"]
    lr: LearningRate = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    momentum_decay: NonNegativeFloat = Field(
        _MOMENTUM_DECAY, description="how fast the momentum warms up"
    )

    high_lr: ClassVar[float] = 0.1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.betas[0] and self.momentum_decay != _MOMENTUM_DECAY:
            raise ValueError("`momentum_decay` does nothing where `betas[0]` is 0")
        return self

    def initial_state(self) -> dict[str, float]:
        """Keep the averages of the gradient and of its square."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def initial_scalars(self) -> dict[str, float]:
        """Keep the product of all momentum factors so far."""
        return {"mu_product": 1.0}

    def update(self, run: UpdateState) -> None:
        """Step along the gradient and its mean, over the root of its mean square."""
        gradient = run.decayed_gradient(run.weight_decay)
        exp_avg, exp_avg_sq, _, correction2 = run.adam_moments(gradient, self.betas)
        mu, mu_next = self._momentum(run.num_steps), self._momentum(run.num_steps + 1)
        mu_product: float = run.state["mu_product"].mul_(mu).item()
        denominator = exp_avg_sq.div(correction2).sqrt_().add_(self.eps)
        run.add_quotient(gradient, denominator, -run.lr * (1 - mu) / (1 - mu_product))
        factor = -run.lr * mu_next / (1 - mu_product * mu_next)
        run.add_quotient(exp_avg, denominator, factor)

    def _momentum(self, step: int) -> float:
        """Return the momentum factor of a step."""
        decay: float = 0.96 ** (step * self.momentum_decay)
        return self.betas[0] * (1 - 0.5 * decay)
