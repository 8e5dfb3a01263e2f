"""The optimizers: torch.optim's mathematics, on all parameters as one tensor.

The results are torch.optim's to the bit, which tests hold them against: by its fused kernels where
it has some, parameter by parameter, as they round a tensor's last numbers in their own way, and
else by its operations in their order. Its classes do the same work with twenty times the overhead,
and import torch._dynamo, which takes as long as torch.

Of several runs at once, a row of numbers each, every run has its own learning rate; the kernels
know only one, so there it is always the operations, and the results are the same within rounding.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, assert_never

import torch
from torch import Tensor

from dlcli.config.optimizers import (
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    RAdam,
    RmsProp,
    Sgd,
)
from dlcli.config.optimizers import Optimizer as OptimizerConfig
from dlcli.training.flat import FlatParameters


@dataclass(frozen=True)
class ManyRuns:
    """The parameters of networks that learn apart, and their gradients."""

    values: Tensor  # [runs, numbers]
    gradient: Tensor  # [runs, numbers]


_Parameters = TypeVar("_Parameters", FlatParameters, ManyRuns)


class Optimizer(Generic[_Parameters]):
    """A config's optimizer for a network's parameters, or for those of several runs."""

    def __init__(self, config: OptimizerConfig, parameters: _Parameters) -> None:
        """Begin with the state that torch.optim begins with."""
        self.config = config
        self.lr: float | Tensor = config.lr  # of many runs: [runs, 1]
        self.num_steps = 0
        self.parameters: _Parameters = parameters
        # By torch.optim's keys: one number for all parameters, or flat as they are.
        self.state: dict[str, Tensor] = {
            "step": torch.zeros((), device=parameters.values.device),
            **({"mu_product": torch.ones(())} if isinstance(config, NAdam) else {}),
            **{
                key: torch.full_like(parameters.values, start)
                for key, start in _state(config).items()
            },
        }
        self._pieces: dict[str, list[Tensor]] = {}
        if isinstance(parameters, FlatParameters):
            self._pieces = {
                key: parameters.split(value) for key, value in self.state.items() if value.dim()
            }

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """What a GradScaler asks for."""
        return [{"params": [self.parameters.values]}]

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by the gradient."""
        self.num_steps += 1
        self.state["step"] += 1
        config = self.config
        match config:
            case Sgd():
                self._step_sgd(config)
            case Adam() | AdamW():
                self._step_adam(config)
            case Adadelta():
                self._step_adadelta(config)
            case Adagrad():
                self._step_adagrad(config)
            case RmsProp():
                self._step_rmsprop(config)
            case NAdam():
                self._step_nadam(config)
            case RAdam():
                self._step_radam(config)
            case Adamax():
                self._step_adamax(config)
            case _:
                assert_never(config)

    def _decayed(self) -> Tensor:
        """Return the gradient with the pull of weight decay."""
        values, gradient = self.parameters.values, self.parameters.gradient
        if not self.config.weight_decay:
            return gradient
        return gradient.add(values, alpha=self.config.weight_decay)

    def _move(self, change: Tensor, step: float | Tensor) -> None:
        """Add step × change to the parameters; a step of many runs is [runs, 1]."""
        if isinstance(step, Tensor):
            self.parameters.values.addcmul_(change, step)
        else:
            self.parameters.values.add_(change, alpha=step)

    def _move_by_quotient(self, above: Tensor, below: Tensor, step: float | Tensor) -> None:
        """Add step × above / below."""
        if isinstance(step, Tensor):
            self.parameters.values.addcmul_(above / below, step)
        else:
            self.parameters.values.addcdiv_(above, below, value=step)

    def _step_sgd(self, config: Sgd) -> None:
        parameters = self.parameters
        if isinstance(parameters, ManyRuns):
            self._step_sgd_of_many(config)
            return
        torch._fused_sgd_(
            parameters.views,
            parameters.gradients,
            self._pieces["momentum_buffer"] if config.momentum else [],
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            lr=self.lr,
            dampening=config.dampening,
            nesterov=config.nesterov,
            maximize=False,
            is_first_step=self.num_steps == 1,
        )

    def _step_sgd_of_many(self, config: Sgd) -> None:
        change = self._decayed()
        if config.momentum:
            buffer = self.state["momentum_buffer"]
            if self.num_steps == 1:
                buffer.copy_(change)
            else:
                buffer.mul_(config.momentum).add_(change, alpha=1 - config.dampening)
            change = change.add(buffer, alpha=config.momentum) if config.nesterov else buffer
        self._move(change, -self.lr)

    def _step_adam(self, config: Adam | AdamW) -> None:
        parameters = self.parameters
        if isinstance(parameters, ManyRuns):
            self._step_adam_of_many(config)
            return
        fused = torch._fused_adam_ if isinstance(config, Adam) else torch._fused_adamw_
        fused(
            parameters.views,
            parameters.gradients,
            self._pieces["exp_avg"],
            self._pieces["exp_avg_sq"],
            self._pieces["max_exp_avg_sq"] if config.amsgrad else [],
            [self.state["step"]] * len(parameters.views),
            lr=self.lr,
            beta1=config.betas[0],
            beta2=config.betas[1],
            weight_decay=config.weight_decay,
            eps=config.eps,
            amsgrad=config.amsgrad,
            maximize=False,
        )

    def _step_adam_of_many(self, config: Adam | AdamW) -> None:
        is_apart = isinstance(config, AdamW)  # the weight decay, from the gradient
        if is_apart and config.weight_decay:
            self.parameters.values.mul_(1 - self.lr * config.weight_decay)
        gradient = self.parameters.gradient if is_apart else self._decayed()
        exp_avg, exp_avg_sq, correction1, correction2 = self._moments(config, gradient)
        if config.amsgrad:
            largest = self.state["max_exp_avg_sq"]
            exp_avg_sq = torch.maximum(largest, exp_avg_sq, out=largest)
        denominator = exp_avg_sq.div(correction2).sqrt_().add_(config.eps)
        self._move_by_quotient(exp_avg, denominator, -self.lr / correction1)

    def _step_adadelta(self, config: Adadelta) -> None:
        gradient, square_avg = self._decayed(), self.state["square_avg"]
        acc_delta = self.state["acc_delta"]
        square_avg.mul_(config.rho).addcmul_(gradient, gradient, value=1 - config.rho)
        std = square_avg.add(config.eps).sqrt_()
        delta = acc_delta.add(config.eps).sqrt_().div_(std).mul_(gradient)
        acc_delta.mul_(config.rho).addcmul_(delta, delta, value=1 - config.rho)
        self._move(delta, -self.lr)

    def _step_adagrad(self, config: Adagrad) -> None:
        gradient, total = self._decayed(), self.state["sum"]
        lr = self.lr / (1 + (self.num_steps - 1) * config.lr_decay)
        total.addcmul_(gradient, gradient, value=1)
        std = total.sqrt().add_(config.eps)
        self._move_by_quotient(gradient, std, -lr)

    def _step_rmsprop(self, config: RmsProp) -> None:
        gradient, square_avg = self._decayed(), self.state["square_avg"]
        square_avg.mul_(config.alpha).addcmul_(gradient, gradient, value=1 - config.alpha)
        if config.centered:
            mean = self.state["grad_avg"].lerp_(gradient, 1 - config.alpha)
            avg = square_avg.addcmul(mean, mean, value=-1).sqrt_()
        else:
            avg = square_avg.sqrt()
        avg.add_(config.eps)
        if config.momentum:
            buffer = self.state["momentum_buffer"]
            buffer.mul_(config.momentum).addcdiv_(gradient, avg)
            self._move(buffer, -self.lr)
        else:
            self._move_by_quotient(gradient, avg, -self.lr)

    def _step_nadam(self, config: NAdam) -> None:
        gradient = self._decayed()
        exp_avg, exp_avg_sq, _, correction2 = self._moments(config, gradient)
        mu, mu_next = _mu(config, self.num_steps), _mu(config, self.num_steps + 1)
        mu_product: float = self.state["mu_product"].mul_(mu).item()
        denominator = exp_avg_sq.div(correction2).sqrt_().add_(config.eps)
        self._move_by_quotient(gradient, denominator, -self.lr * (1 - mu) / (1 - mu_product))
        step = -self.lr * mu_next / (1 - mu_product * mu_next)
        self._move_by_quotient(exp_avg, denominator, step)

    def _step_radam(self, config: RAdam) -> None:
        moments = self._moments(config, self._decayed())
        exp_avg, exp_avg_sq, correction1, correction2 = moments
        beta2 = config.betas[1]
        change = (exp_avg / correction1) * self.lr
        limit = 2 / (1 - beta2) - 1  # of rho, the length of the mean square's memory
        rho = limit - 2 * self.num_steps * beta2**self.num_steps / correction2
        if rho > 5:  # as torch.optim has it; the paper says 4
            adaptive = correction2**0.5 / exp_avg_sq.sqrt().add_(config.eps)
            rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            change = change * adaptive * rectified**0.5
        self.parameters.values.add_(change, alpha=-1.0)

    def _step_adamax(self, config: Adamax) -> None:
        gradient, exp_inf = self._decayed(), self.state["exp_inf"]
        exp_avg = self.state["exp_avg"].lerp_(gradient, 1 - config.betas[0])
        largest = gradient.abs().add_(config.eps)
        torch.maximum(exp_inf.mul_(config.betas[1]), largest, out=exp_inf)
        lr = self.lr / (1 - config.betas[0] ** self.num_steps)
        self._move_by_quotient(exp_avg, exp_inf, -lr)

    def _moments(
        self, config: Adam | AdamW | NAdam | RAdam, gradient: Tensor
    ) -> tuple[Tensor, Tensor, float, float]:
        """Return the running means of the gradient and its square, and what they lack yet."""
        beta1, beta2 = config.betas
        exp_avg = self.state["exp_avg"].lerp_(gradient, 1 - beta1)
        exp_avg_sq = self.state["exp_avg_sq"].mul_(beta2)
        exp_avg_sq.addcmul_(gradient, gradient, value=1 - beta2)
        return exp_avg, exp_avg_sq, 1 - beta1**self.num_steps, 1 - beta2**self.num_steps


def _state(config: OptimizerConfig) -> dict[str, float]:
    """Return torch.optim's keys for what an optimizer remembers of a parameter, and its start."""
    match config:
        case Sgd():
            keys = ["momentum_buffer"] * bool(config.momentum)
        case Adam() | AdamW():
            keys = ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * config.amsgrad]
        case NAdam() | RAdam():
            keys = ["exp_avg", "exp_avg_sq"]
        case Adadelta():
            keys = ["square_avg", "acc_delta"]
        case Adagrad():
            return {"sum": config.initial_accumulator_value}
        case RmsProp():
            keys = [
                "square_avg",
                *["momentum_buffer"] * bool(config.momentum),
                *["grad_avg"] * config.centered,
            ]
        case Adamax():
            keys = ["exp_avg", "exp_inf"]
        case _:
            assert_never(config)
    return dict.fromkeys(keys, 0.0)


def _mu(config: NAdam, step: int) -> float:
    """Return NAdam's momentum at a step."""
    decay: float = 0.96 ** (step * config.momentum_decay)
    return config.betas[0] * (1 - 0.5 * decay)
