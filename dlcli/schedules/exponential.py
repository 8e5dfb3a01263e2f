"""Exponential decay."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, ScheduleConfig


@final
class Exponential(ScheduleConfig):
    """The learning rate times `gamma` every epoch."""

    type: Literal["exponential"]
    gamma: float = Field(gt=0, le=1, description="factor of each reduction")

    spreads_over_epochs: ClassVar[bool] = False
    is_constant_within_epoch: ClassVar[bool] = True

    def lr(self, at: Position) -> float:
        """Reduce the rate at every epoch."""
        return at.base_lr * float(self.gamma**at.epoch)
