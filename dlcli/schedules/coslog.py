"""Cosine cycles, each twice as long as the one before.

Those of RealMLP (Holzmüller, Grinsztajn and Steinwart 2024, arXiv:2407.04491, "coslog"): the rate
of a step is lr × (1 − cos(2π log2(1 + (2^cycles − 1) t))) / 2, where t is the share of the steps
that were taken before it. So the first step has a rate of 0.
"""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, ScheduledNumber
from dlcli.section import NonNegativeFloat

Cycles = Annotated[
    int,
    Field(ge=1, le=16, description="number of cycles, each twice as long as the one before"),
]


def coslog(share: float, cycles: int) -> float:
    """Return the factor, 0 to 1, at a share of the steps: 0 where a cycle begins, 1 halfway."""
    return (1 - math.cos(2 * math.pi * math.log2(1 + (2**cycles - 1) * share))) / 2


@final
class Coslog(ScheduleConfig):
    """Cosine cycles from 0 to the learning rate and back, each twice as long as the one before."""

    type: Literal["coslog"]
    cycles: Cycles = 4

    warms_up: ClassVar[bool] = True
    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Raise and lower the rate, cycle after cycle, step by step."""
        return at.base_lr * coslog(at.step / at.num_steps, self.cycles)

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a run with only one step, whose rate is 0."""
        if run.num_steps < 2:
            yield (
                "type",
                f"coslog begins with a rate of 0, and there is no second step ({run.given})",
            )


@final
class CoslogNumber(ScheduledNumber):
    """A number in cosine cycles from 0 to its peak and back, each twice as long as the last."""

    type: Literal["coslog"]
    peak: NonNegativeFloat = Field(description="the number at the middle of a cycle")
    cycles: Cycles = 4

    @property
    def highest(self) -> float:
        """Its peak."""
        return self.peak

    def factor(self, share: float) -> float:
        """Return 0 where a cycle begins, 1 at its middle."""
        return coslog(share, self.cycles)
