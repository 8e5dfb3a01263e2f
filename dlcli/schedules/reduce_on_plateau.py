"""Reduction when the validation loss stops improving."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

from pydantic import Field

from dlcli.schedules.base import Position, RunLength, ScheduleConfig, ScheduleState
from dlcli.section import NonNegativeFloat, NonNegativeInt


@final
class ReduceOnPlateau(ScheduleConfig):
    """The learning rate times `factor` when the validation loss has stopped improving."""

    type: Literal["reduce_on_plateau"]
    factor: float = Field(0.1, gt=0, lt=1, description="factor of each reduction")
    patience: NonNegativeInt = Field(
        10,
        description="epochs without improvement before a reduction, counted from the first whole "
        "epoch after the warm-up, whose loss is the first to improve on",
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

    @property
    def epochs_to_wait(self) -> int:
        """One more than its patience."""
        return self.patience + 1

    @property
    def least_gain(self) -> float:
        """Its threshold."""
        return self.threshold

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

    def unused_settings(self, run: RunLength) -> Iterator[tuple[str, str]]:
        """Yield a patience without any reduction, a lowest rate above all, an idle cooldown.

        The first epoch sets the loss to improve on, `patience` + 1 more may miss it, and the one
        after these has the reduced rate. A second reduction takes `patience` + 1 more.
        """
        if 1 + self.epochs_to_wait >= run.num_whole_epochs:
            most = run.num_whole_epochs - 3
            hint = f"; at most {most}" if most >= 0 else ""
            yield "patience", f"does nothing: no reduction within {run.given}{hint}"
        elif self.min_lr >= run.base_lr:
            lr = f"{run.base_lr:g}"
            yield "min_lr", f"must be below optimizer.lr, {lr}, the initial learning rate"
        elif self.cooldown and 1 + 2 * self.epochs_to_wait >= run.num_whole_epochs:
            yield "cooldown", f"does nothing: no second reduction within {run.given}"

    def rates(self) -> dict[str, float]:
        """Return the lowest rate."""
        return {"min_lr": self.min_lr} if self.min_lr else {}
