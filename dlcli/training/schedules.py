"""The learning rate of each step: the warm-up, then what the config's schedule says.

The rates are those of torch.optim.lr_scheduler's classes of the same names, which tests hold them
against. With a warm-up they are those of torch's class begun at its end.
"""

from dataclasses import dataclass, field
from typing import Self

from dlcli.config.sections.training import TrainingConfig
from dlcli.schedules.base import Position, RunLength, ScheduleConfig, ScheduleState


@dataclass
class Schedule:
    """A config's schedule over a run of known length."""

    config: ScheduleConfig
    base_lr: float
    steps_per_epoch: int
    num_epochs: int
    state: ScheduleState = field(default_factory=ScheduleState)

    @classmethod
    def of(
        cls, config: ScheduleConfig, base_lr: float, training: TrainingConfig, num_rows: int
    ) -> Self:
        """Return the schedule of a run on so many training rows."""
        return cls(config, base_lr, training.steps_per_epoch(num_rows), training.epochs)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warmup = self.num_warmup_steps
        if step < warmup:
            return self.base_lr * (step + 1) / (warmup + 1)
        step -= warmup
        num_steps = self.num_steps - warmup
        epoch = step // self.steps_per_epoch
        return self.config.lr(Position(self.base_lr, step, num_steps, epoch, self.state))

    def epoch_lrs(self, start: int) -> list[float]:
        """Return the rates of the epoch that begins with a step; a single one if all are alike."""
        warmup = self.num_warmup_steps
        # A warm-up that ends within an epoch moves the schedule's epochs by a part of one.
        is_whole = warmup % self.steps_per_epoch == 0
        is_constant = self.config.is_constant_within_epoch and is_whole and start >= warmup
        num_rates = 1 if is_constant else self.steps_per_epoch
        return [self.lr(start + step) for step in range(num_rates)]

    @property
    def num_steps(self) -> int:
        """The steps of the whole run."""
        return self.steps_per_epoch * self.num_epochs

    @property
    def num_warmup_steps(self) -> int:
        """The steps of the warm-up."""
        return round(self.config.warmup_epochs * self.steps_per_epoch)

    @property
    def length(self) -> RunLength:
        """How long the run is for the config's schedule."""
        warmup = f", warm-up {self.config.warmup_epochs:g}" * bool(self.num_warmup_steps)
        epochs = "epoch" if self.num_epochs == 1 else "epochs"
        given = f"{self.num_epochs} {epochs} (training.epochs{warmup})"
        num_steps = self.num_steps - self.num_warmup_steps
        return RunLength(self.base_lr, num_steps, self.steps_per_epoch, given)

    def observe(self, epoch: int, loss: float) -> None:
        """Take note of the validation loss of an epoch, from 1, unless the rate warmed up in it.

        A rate that rises on purpose makes the loss jump, which is no plateau.
        """
        if (epoch - 1) * self.steps_per_epoch >= self.num_warmup_steps:
            self.state = self.config.observe(self.state, loss)
