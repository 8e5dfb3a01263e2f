"""Exponential decay."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, is_flat


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

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a factor of 1, and a run that ends before the first reduction."""
        yield from is_flat(self.gamma)
        if run.num_epochs < 2:
            yield "gamma", f"does nothing: no reduction within {run.given}"
