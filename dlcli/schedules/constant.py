"""No schedule."""

from typing import ClassVar, Literal, final

from dlcli.schedules.base import Position, ScheduleConfig


@final
class Constant(ScheduleConfig):
    """A constant learning rate."""

    type: Literal["constant"]

    is_constant: ClassVar[bool] = True
    spreads_over_epochs: ClassVar[bool] = False
    is_constant_within_epoch: ClassVar[bool] = True

    def lr(self, at: Position) -> float:
        """Return the base rate."""
        return at.base_lr
