"""Step decay."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, is_flat
from dlcli.section import PositiveInt


@final
class StepSchedule(ScheduleConfig):
    """The learning rate times `gamma` every `step_size` epochs."""

    type: Literal["step"]
    step_size: PositiveInt = Field(description="epochs between reductions")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of each reduction")

    spreads_over_epochs: ClassVar[bool] = False
    is_constant_within_epoch: ClassVar[bool] = True

    def lr(self, at: Position) -> float:
        """Reduce the rate at every so many epochs."""
        return at.base_lr * float(self.gamma ** (at.epoch // self.step_size))

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a factor of 1, and a step size that lets no reduction happen."""
        yield from is_flat(self.gamma)
        if self.step_size >= run.num_epochs:
            yield "step_size", f"does nothing: no reduction within {run.given}"
