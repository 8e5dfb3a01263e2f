"""What came of one run of a comparison, as plain data that a file holds."""

import math
from typing import Annotated, Literal

from pydantic import Field

from dlcli.config.optimizers import Optimizer
from dlcli.section import NonNegativeFloat, NonNegativeInt, Section

Losses = Annotated[tuple[float, ...], Field(strict=False)]
HeldOutPart = Literal["validation", "test"]
Figures = dict[str, float | None]  # by name


class TrialResult(Section):
    """A run that is over. Losses are in the target's own units, epoch by epoch."""

    optimizer: Optimizer  # with its learning rate
    seed: Annotated[int, Field(ge=0)]
    end: Literal["epochs", "early_stopping", "diverged"]
    num_steps: NonNegativeInt
    best_epoch: NonNegativeInt  # 0: it diverged in its first epoch
    train_losses: Losses
    validation_losses: Losses
    seconds_a_step: NonNegativeFloat  # of such a run alone
    figures: dict[HeldOutPart, Figures] | None  # of the best epoch's weights

    @property
    def is_sound(self) -> bool:
        """Whether it came to its end."""
        return self.end != "diverged"

    @property
    def best_loss(self) -> float:
        """The validation loss of its best epoch; endless where it diverged."""
        return self.validation_losses[self.best_epoch - 1] if self.is_sound else math.inf
