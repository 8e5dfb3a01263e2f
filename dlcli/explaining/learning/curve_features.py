"""A run's curves beside what they are to be held against."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlcli.config import Config
from dlcli.explaining.learning.history import History
from dlcli.explaining.learning.loss_curve import LossCurve
from dlcli.explaining.learning.regularisation import starts_small

# Losses as shares of the trivial one, or else of the first epoch's.
POOR = 0.3  # the network may not have learned what there is
NOTABLE = 0.02  # a difference that matters

STEADY = 0.5  # Kendall's correlation, of either sign
RISING = 0.2
RESTLESS = 0.04  # mean rise an epoch over the loss
FLAT = 0.1  # the last quarter's fall over the loss
MANY_EPOCHS = 20
_STRAIGHT = 0.35  # the second half's fall over the first half's
_STRAIGHT_IF_SMOOTH = 0.2  # of many epochs, none of which rose


@dataclass(frozen=True)
class CurveFeatures:
    """A run's curves beside what they are to be held against."""

    history: History
    trivial: float | None  # the loss of a constant answer

    @property
    def config(self) -> Config | None:
        """The run's."""
        return self.history.config

    @cached_property
    def reference(self) -> float:
        """The loss that others are shares of."""
        losses = self.history.train_losses
        return self.trivial or float(losses[0]) or 1.0

    @cached_property
    def train(self) -> LossCurve:
        """The training loss."""
        return LossCurve(self.history.numbers, self.history.train_losses, self.reference)

    @cached_property
    def validation(self) -> LossCurve | None:
        """The validation loss, of the epochs that have one."""
        losses = self.history.validation_losses
        if losses is None:
            return None
        known = np.isfinite(losses)
        return LossCurve(self.history.numbers[known], losses[known], self.reference)

    @property
    def judged(self) -> LossCurve:
        """The validation loss, or else the training loss."""
        return self.validation or self.train

    @property
    def settled_at(self) -> float:
        """The lower of both losses at the end, as a share of the reference."""
        return min(self.train.last, self.judged.last) / self.reference

    @property
    def starts_small(self) -> bool:
        """Whether the network's first answers are near a constant one: by scale and weights."""
        return self.config is not None and starts_small(self.config)

    @property
    def was_stopped_early(self) -> bool:
        """Whether early stopping ended the run."""
        return self.history.stop_reason == "early_stopping"

    def beside_trivial(self, loss: float) -> str:
        """Say what a loss is beside a constant answer's."""
        if self.trivial is None:
            return ""
        share = loss / self.trivial
        words = f"{share:.3g} times" if share >= 2 else f"{share:.0%} of"
        return f" ({'less than 1% of' if share < 0.01 else words} a constant answer's)"

    @cached_property
    def straightness(self) -> float:
        """The training loss's, against the sum of the learning rates."""
        return self.train.straightness(self.history.lrs)

    @cached_property
    def falls_steadily(self) -> bool:
        """Whether the training loss keeps falling in a straight line, and the other with it."""
        is_smooth = len(self.train) >= MANY_EPOCHS and self.train.mean_relative_rise == 0
        return (
            self.straightness >= (_STRAIGHT_IF_SMOOTH if is_smooth else _STRAIGHT)
            and self.train.trend() <= -STEADY
            and self.judged.turn >= len(self.judged) // 2
        )
