"""Cosine annealing."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, ScheduleConfig, half_cosine
from dlcli.section import NonNegativeFloat


@final
class Cosine(ScheduleConfig):
    """Half a cosine from the learning rate down to `eta_min`, step by step, over all epochs."""

    type: Literal["cosine"]
    eta_min: NonNegativeFloat = Field(0.0, description="final learning rate")

    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Reduce the rate at every step."""
        return half_cosine(at.base_lr, self.eta_min, at.step / at.num_steps)

    def unused_settings(self, lr: float, num_epochs: int) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Yield a final rate that is no lower than the initial one."""
        if self.eta_min >= lr:
            yield "eta_min", f"must be below optimizer.lr, {lr:g}, the initial learning rate"

    def rates(self) -> dict[str, float]:
        """Return the final rate."""
        return {"eta_min": self.eta_min} if self.eta_min else {}
