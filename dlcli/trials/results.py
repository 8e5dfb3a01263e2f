"""What came of a trial: with its weights, and as plain data that a file holds."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field
from torch import Tensor

from dlcli.section import NonNegativeFloat, NonNegativeInt, Section
from dlcli.trials.trial import Trial

End = Literal["epochs", "early_stopping", "diverged"]
Losses = Annotated[tuple[float, ...], Field(strict=False)]
HeldOutPart = Literal["validation", "test"]
Figures = dict[str, float | None]  # by name


@dataclass(frozen=True)
class Point:
    """An epoch of a trial. Losses are in the target's units."""

    epoch: int  # from 1
    train_loss: float
    validation_loss: float


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that is over."""

    trial: Trial
    curve: tuple[Point, ...]  # of the epochs that were finished
    end: End
    num_steps: int  # taken; the last is the one that diverged
    best_epoch: int  # 0: it diverged in its first epoch
    weights: dict[str, Tensor]  # of the best epoch, on the CPU; none where there is no such epoch
    # For the validation rows of a fold, [rows, outputs], see cross_fitting; None: not folded.
    outputs: Tensor | None = None


class TrialResult(Section):
    """A trial that is over, without weights. Losses are in the target's units, epoch by epoch."""

    trial: Trial
    end: End
    num_steps: NonNegativeInt
    best_epoch: NonNegativeInt  # 0: it diverged in its first epoch
    train_losses: Losses
    validation_losses: Losses
    seconds_a_step: NonNegativeFloat  # of such a trial by itself; 0: it was not measured
    figures: dict[HeldOutPart, Figures] | None  # of the best epoch's weights; None: not evaluated
    # Of a search: its metric on each block of the validation rows; None where one has no value.
    blocks: Annotated[tuple[float | None, ...], Field(strict=False)] | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it came to its end."""
        return self.end != "diverged"

    @property
    def best_loss(self) -> float:
        """The validation loss of its best epoch; infinite where it diverged."""
        return self.validation_losses[self.best_epoch - 1] if self.is_sound else math.inf


class Results(Protocol):
    """Where finished trials are kept and found, by their keys."""

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        """Return a trial, with figures if it `is_evaluated`; None while it isn't finished."""
        ...

    def add(self, result: TrialResult) -> None:
        """Keep a finished trial."""
        ...
