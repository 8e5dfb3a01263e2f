"""A constant learning rate, then cosine annealing.

As RealMLP's dropout and weight decay have it (Holzmüller, Grinsztajn and Steinwart 2024,
arXiv:2407.04491, "flat_cos"): a step's place is the share of the steps that were taken before it,
so that 0 would be reached one step after the last.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import (
    Flat,
    Position,
    RunLength,
    ScheduleConfig,
    ScheduledNumber,
    half_cosine,
)
from dlcli.section import NonNegativeFloat


def flat_cosine(share: float, flat: float) -> float:
    """Return the factor, 1 to 0, at a share of the steps: 1 up to `flat`."""
    return 1.0 if share <= flat else half_cosine(1.0, 0.0, (share - flat) / (1 - flat))


@final
class FlatCosine(ScheduleConfig):
    """The learning rate as it is, then along half a cosine towards 0."""

    type: Literal["flat_cosine"]
    flat: Flat = 0.5

    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Keep the rate, then lower it at every step."""
        return at.base_lr * flat_cosine(at.step / at.num_steps, self.flat)

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a run whose last step is a flat one."""
        if run.num_steps - 1 <= self.flat * run.num_steps:
            yield (
                "flat",
                f"does nothing: all {run.num_steps} steps of {run.given} lie within the flat part; "
                "give less, or more epochs",
            )


@final
class FlatCosineNumber(ScheduledNumber):
    """A number that stays as it starts, then goes to 0 along half a cosine."""

    type: Literal["flat_cosine"]
    start: NonNegativeFloat = Field(description="the number up to the way down")
    flat: Flat = 0.5

    @property
    def highest(self) -> float:
        """Its start."""
        return self.start

    def factor(self, share: float) -> float:
        """Return 1, then less and less."""
        return flat_cosine(share, self.flat)
