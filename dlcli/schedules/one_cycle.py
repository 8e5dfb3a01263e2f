"""The one-cycle policy."""

from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, ScheduleConfig, half_cosine


@final
class OneCycle(ScheduleConfig):
    """Up from lr / `div_factor` to lr, then down, by cosines, step by step, over all epochs."""

    type: Literal["one_cycle"]
    pct_start: float = Field(0.3, gt=0, lt=1, description="fraction of the steps that go up")
    div_factor: float = Field(25.0, ge=1, description="ratio of lr to the initial learning rate")
    final_div_factor: float = Field(
        1e4, ge=1, description="ratio of the initial to the final learning rate"
    )

    spreads_over_epochs: ClassVar[bool] = True
    is_constant_within_epoch: ClassVar[bool] = False

    def lr(self, at: Position) -> float:
        """Raise the rate to its peak, then reduce it, at every step."""
        initial = at.base_lr / self.div_factor
        peak = max(self.pct_start * at.num_steps - 1, 1)  # its step
        if at.step <= peak:
            return half_cosine(initial, at.base_lr, at.step / peak)
        share = (at.step - peak) / max(at.num_steps - 1 - peak, 1)
        return half_cosine(at.base_lr, initial / self.final_div_factor, share)
