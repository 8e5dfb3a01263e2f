"""The one-cycle policy."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, half_cosine


@final
class OneCycle(ScheduleConfig):
    """Up from lr / `div_factor` to lr, then down, by cosines, step by step, over all epochs."""

    type: Literal["one_cycle"]
    pct_start: float = Field(0.3, gt=0, lt=1, description="fraction of the steps that go up")
    div_factor: float = Field(25.0, ge=1, description="ratio of lr to the initial learning rate")
    final_div_factor: float = Field(
        1e4, ge=1, description="ratio of the initial to the final learning rate"
    )

    warms_up: ClassVar[bool] = True
    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Raise the rate to its peak, then reduce it, at every step."""
        initial = at.base_lr / self.div_factor
        peak = max(self.pct_start * at.num_steps - 1, 1)  # its step
        if at.step <= peak:
            return half_cosine(initial, at.base_lr, at.step / peak)
        share = (at.step - peak) / (at.num_steps - 1 - peak)
        return half_cosine(at.base_lr, initial / self.final_div_factor, share)

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a run too short to go up and down, and a cycle that is flat."""
        if run.num_steps < 3:
            yield (
                "type",
                f"one_cycle needs 3 steps at least, to go up and down; {run.given} have "
                f"{run.num_steps}",
            )
        elif self.div_factor == self.final_div_factor == 1:
            yield "div_factor", "does nothing, as final_div_factor: the rate stays as it is with 1"
