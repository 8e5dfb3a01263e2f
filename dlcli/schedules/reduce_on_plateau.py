"""Reduction when the validation loss stops improving."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, ScheduleConfig, ScheduleState
from dlcli.section import NonNegativeFloat, NonNegativeInt


@final
class ReduceOnPlateau(ScheduleConfig):
    """The learning rate times `factor` when the validation loss has stopped improving."""

    type: Literal["reduce_on_plateau"]
    factor: float = Field(0.1, gt=0, lt=1, description="factor of each reduction")
    patience: NonNegativeInt = Field(
        10, description="epochs without improvement before a reduction"
    )
    threshold: NonNegativeFloat = Field(
        1e-4, description="smallest relative decrease that counts as improvement"
    )
    cooldown: NonNegativeInt = Field(
        0, description="epochs after a reduction that patience ignores"
    )
    min_lr: NonNegativeFloat = Field(0.0, description="lowest learning rate")

    needs_validation: ClassVar[bool] = True
    spreads_over_epochs: ClassVar[bool] = False
    is_constant_within_epoch: ClassVar[bool] = True

    def lr(self, at: Position) -> float:
        """Return the rate after the reductions so far."""
        return max(at.base_lr * at.state.factor, min(self.min_lr, at.base_lr))

    def observe(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Count epochs without improvement; reduce the rate once patience is at its end."""
        factor, best, cooldown_left = state.factor, state.best, max(state.cooldown_left - 1, 0)
        num_bad_epochs = state.num_bad_epochs + 1
        if best is None or loss < best * (1 - self.threshold):
            best, num_bad_epochs = loss, 0
        if state.cooldown_left:
            num_bad_epochs = 0
        if num_bad_epochs > self.patience:
            factor, cooldown_left, num_bad_epochs = factor * self.factor, self.cooldown, 0
        return ScheduleState(factor, best, num_bad_epochs, cooldown_left)

    def unused_settings(self, lr: float, num_epochs: int) -> Iterator[tuple[str, str]]:
        """Yield a patience without any reduction, or a lowest rate that is never reached."""
        if self.patience >= num_epochs:
            yield (
                "patience",
                f"does nothing: no reduction within {num_epochs} epochs (training.epochs)",
            )
        elif self.min_lr >= lr:
            yield "min_lr", f"must be below optimizer.lr, {lr:g}, the initial learning rate"

    def rates(self) -> dict[str, float]:
        """Return the lowest rate."""
        return {"min_lr": self.min_lr} if self.min_lr else {}
