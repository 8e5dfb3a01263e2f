"""The learning rate of each step.

Every schedule but one is a function of the step alone. The formulas are those of
torch.optim.lr_scheduler's classes of the same names, which tests hold them against.
"""

import math
from dataclasses import dataclass, field
from typing import assert_never

from dlcli.config.optimizers import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    StepSchedule,
)
from dlcli.config.optimizers import Schedule as ScheduleConfig
from dlcli.section import NonNegativeFloat, NonNegativeInt


@dataclass
class Plateau:
    """What `reduce_on_plateau` remembers from epoch to epoch."""

    factor: NonNegativeFloat = 1.0
    best: float | None = None  # the lowest loss; None before the first
    num_bad_epochs: NonNegativeInt = 0
    cooldown_left: NonNegativeInt = 0


@dataclass
class Schedule:
    """A config's schedule over a run of known length."""

    config: ScheduleConfig
    base_lr: float
    steps_per_epoch: int
    num_epochs: int
    plateau: Plateau = field(default_factory=Plateau)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warmup = round(self.config.warmup_epochs * self.steps_per_epoch)
        if step < warmup:
            return self.base_lr * (step + 1) / (warmup + 1)
        return self._lr_after_warmup(step - warmup, self.steps_per_epoch * self.num_epochs - warmup)

    def observe(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        config, state = self.config, self.plateau
        if not isinstance(config, ReduceOnPlateau):
            return
        if state.best is None or loss < state.best * (1 - config.threshold):
            state.best, state.num_bad_epochs = loss, 0
        else:
            state.num_bad_epochs += 1
        if state.cooldown_left:
            state.cooldown_left -= 1
            state.num_bad_epochs = 0
        if state.num_bad_epochs > config.patience:
            state.factor *= config.factor
            state.cooldown_left, state.num_bad_epochs = config.cooldown, 0

    def _lr_after_warmup(self, step: int, num_steps: int) -> float:
        config, lr, epoch = self.config, self.base_lr, step // self.steps_per_epoch
        match config:
            case Constant():
                return lr
            case StepSchedule():
                return lr * float(config.gamma ** (epoch // config.step_size))
            case Exponential():
                return lr * float(config.gamma**epoch)
            case Cosine():
                return _cosine(lr, config.eta_min, step / num_steps)
            case OneCycle():
                first = lr / config.div_factor
                top = max(config.pct_start * num_steps - 1, 1)
                if step <= top:
                    return _cosine(first, lr, step / top)
                share = (step - top) / max(num_steps - 1 - top, 1)
                return _cosine(lr, first / config.final_div_factor, share)
            case ReduceOnPlateau():
                return max(lr * self.plateau.factor, min(config.min_lr, lr))
            case _:
                assert_never(config)


def _cosine(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
