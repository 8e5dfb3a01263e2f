"""Cosine annealing."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, half_cosine
from dlcli.section import NonNegativeFloat


@final
class Cosine(ScheduleConfig):
    """Half a cosine from the learning rate at the first step to `eta_min` at the last one."""

    type: Literal["cosine"]
    eta_min: NonNegativeFloat = Field(0.0, description="learning rate of the last step")

    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Reduce the rate at every step.

        As torch's CosineAnnealingLR with a T_max of one less than the steps: with all of them,
        `eta_min` would belong to the step after the last.
        """
        return half_cosine(at.base_lr, self.eta_min, at.step / max(at.num_steps - 1, 1))

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a run without a way down, or a final rate that is no lower than the initial one."""
        if run.num_steps < 2:
            yield "type", f"cosine does nothing in a single step ({run.given})"
        elif self.eta_min >= run.base_lr:
            lr = f"{run.base_lr:g}"
            yield "eta_min", f"must be below optimizer.lr, {lr}, the initial learning rate"

    def rates(self) -> dict[str, float]:
        """Return the final rate."""
        return {"eta_min": self.eta_min} if self.eta_min else {}
