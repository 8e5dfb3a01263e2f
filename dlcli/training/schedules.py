"""The learning rate of each step: the warm-up, then what the config's schedule says.

The rates are those of torch.optim.lr_scheduler's classes of the same names, which tests hold them
against.
"""

from dataclasses import dataclass, field

from dlcli.schedules.base import Position, ScheduleConfig, ScheduleState


@dataclass
class Schedule:
    """A config's schedule over a run of known length."""

    config: ScheduleConfig
    base_lr: float
    steps_per_epoch: int
    num_epochs: int
    state: ScheduleState = field(default_factory=ScheduleState)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warmup = round(self.config.warmup_epochs * self.steps_per_epoch)
        if step < warmup:
            return self.base_lr * (step + 1) / (warmup + 1)
        step -= warmup
        num_steps = self.steps_per_epoch * self.num_epochs - warmup
        epoch = step // self.steps_per_epoch
        return self.config.lr(Position(self.base_lr, step, num_steps, epoch, self.state))

    def observe(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        self.state = self.config.observe(self.state, loss)
