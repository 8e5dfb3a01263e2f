"""The shape of loss curves: trends, rises, falls, and comparison with the constant baseline."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlcli.config import Config
from dlcli.explaining.learning.history import History
from dlcli.explaining.learning.regularisation import starts_small

_MAX_WINDOW = 101  # epochs
_BLOCK = 1024  # windows whose medians are computed at once
_MIN_TREND_LOSSES = 4
_FLOOR = 0.1  # of the reference: rises of much lower losses don't matter


@dataclass(frozen=True)
class LossCurve:
    """Losses by epoch; at least one, all finite."""

    epochs: np.ndarray  # their numbers, float64 [epochs]
    losses: np.ndarray  # float64 [epochs]
    reference: float  # a large loss, above 0

    def __len__(self) -> int:
        return len(self.losses)

    @cached_property
    def smoothed(self) -> np.ndarray:
        """The running median over a tenth of the epochs, at least three, [epochs].

        Windows are centred, and become narrower towards the ends.
        """
        reach = min(max(len(self) // 10, 3), _MAX_WINDOW) // 2
        smoothed = self.losses.copy()
        for width in range(1, min(reach, (len(self) - 1) // 2) + 1):
            windows = np.lib.stride_tricks.sliding_window_view(self.losses, 2 * width + 1)
            if width < reach:
                smoothed[[width, -1 - width]] = np.median(windows[[0, -1]], axis=1)
                continue
            for start in range(0, len(windows), _BLOCK):  # the median copies its windows
                medians = np.median(windows[start : start + _BLOCK], axis=1)
                smoothed[width + start : width + start + len(medians)] = medians
        return smoothed

    @property
    def first(self) -> float:
        """The first epoch's loss."""
        return float(self.losses[0])

    @cached_property
    def last(self) -> float:
        """The median of the last tenth."""
        return float(np.median(self.losses[-max(1, len(self) // 10) :]))

    @property
    def lowest(self) -> float:
        """The lowest smoothed loss."""
        return float(self.smoothed.min())

    @property
    def turn(self) -> int:
        """The index of the lowest smoothed loss."""
        return int(self.smoothed.argmin())

    @property
    def best(self) -> float:
        """The lowest loss of any epoch."""
        return float(self.losses.min())

    @property
    def best_epoch(self) -> int:
        """The first epoch with the lowest loss."""
        return int(self.epochs[self.losses.argmin()])

    @cached_property
    def mean_relative_rise(self) -> float:
        """The mean rise from one epoch to the next, counting falls as 0, relative to the loss.

        Over the last three quarters of the epochs, less their net rise; a loss below a tenth of
        the reference counts as that tenth.
        """
        settled = self.losses[len(self) // 4 :]
        if len(settled) < 2:
            return 0.0
        level = max(float(np.median(settled)), _FLOOR * self.reference)
        rise = float(np.maximum(np.diff(settled), 0.0).sum())
        return (rise - max(0.0, float(settled[-1] - settled[0]))) / (len(settled) - 1) / level

    def trend(self, start: int = 0) -> float:
        """Return Kendall's rank correlation (1938) of loss and epoch from an index on.

        From -1, every later loss is lower, to 1. 0 for fewer than four losses, or equal ones.
        """
        losses = self.losses[start:].tolist()
        if len(losses) < _MIN_TREND_LOSSES or min(losses) == max(losses):
            return 0.0
        num_concordant, before = 0, list[float]()  # less the discordant ones
        for loss in losses:
            num_concordant += bisect_left(before, loss) + bisect_right(before, loss) - len(before)
            insort(before, loss)
        num_pairs = math.comb(len(losses), 2)
        num_equal = sum(math.comb(count, 2) for count in Counter(losses).values())
        return num_concordant / math.sqrt(num_pairs) / math.sqrt(num_pairs - num_equal)

    @cached_property
    def late_trend(self) -> float:
        """The trend of the second half, over at least four losses."""
        return self.trend(max(0, min(len(self) // 2, len(self) - _MIN_TREND_LOSSES)))

    @cached_property
    def late_fall(self) -> float:
        """The fall of the smoothed loss over the last quarter of the epochs; negative: it rose."""
        return float(self.smoothed[-1 - max(1, len(self) // 4)]) - self.last if len(self) > 1 else 0

    def straightness(self, rates: np.ndarray) -> float:
        """Return the fall in the second half relative to the first half: 1 for a straight line.

        The halves are split where half of the sum of the learning rates [epochs] is reached, so
        that a loss which flattens only because the rates decay still counts as straight. 0 where
        it did not fall in the first half.
        """
        progress = np.cumsum(rates)
        if len(self) < 3 or not progress[-1] > 0:
            return 0.0
        middle = float(np.interp((progress[0] + progress[-1]) / 2, progress, self.smoothed))
        first_fall = self.first - middle
        return (middle - self.last) / first_fall if first_fall > 0 else 0.0


# Losses as shares of the constant baseline's, or else of the first epoch's.
POOR = 0.3  # above it, the network may have learned little
NOTABLE = 0.02  # a difference above it matters

STEADY = 0.5  # Kendall's correlation, of either sign
RISING = 0.2
NOISY = 0.04  # mean rise per epoch, relative to the loss
FLAT = 0.1  # fall over the last quarter of the epochs, relative to the loss
MANY_EPOCHS = 20
_STRAIGHT = 0.35  # fall in the second half relative to the first half
_STRAIGHT_IF_SMOOTH = 0.2  # the same, for many epochs without any rise


@dataclass(frozen=True)
class CurveFeatures:
    """The loss curves of a run, with the features that the rules of the diagnosis use."""

    history: History
    constant_loss: float | None  # the loss of the constant baseline; None: unknown

    @property
    def config(self) -> Config | None:
        """The run's config, None if unknown."""
        return self.history.config

    @cached_property
    def reference(self) -> float:
        """The loss that others are expressed relative to."""
        losses = self.history.train_losses
        return self.constant_loss or float(losses[0]) or 1.0

    @cached_property
    def train(self) -> LossCurve:
        """The training loss."""
        return LossCurve(self.history.numbers, self.history.train_losses, self.reference)

    @cached_property
    def validation(self) -> LossCurve | None:
        """The validation loss, for the epochs that have one."""
        losses = self.history.validation_losses
        if losses is None:
            return None
        known = np.isfinite(losses)
        return LossCurve(self.history.numbers[known], losses[known], self.reference)

    @property
    def main(self) -> LossCurve:
        """The validation loss, or else the training loss."""
        return self.validation or self.train

    @property
    def settled_at(self) -> float:
        """The lower of both losses at the end, relative to the reference."""
        return min(self.train.last, self.main.last) / self.reference

    @property
    def starts_small(self) -> bool:
        """Whether initial predictions are nearly constant, by the scaling and initialisation."""
        return self.config is not None and starts_small(self.config)

    @property
    def was_stopped_early(self) -> bool:
        """Whether early stopping ended the run."""
        return self.history.stop_reason == "early_stopping"

    def relative_to_constant(self, loss: float) -> str:
        """Say how large a loss is compared with the constant baseline's."""
        if self.constant_loss is None:
            return ""
        share = loss / self.constant_loss
        words = f"{share:.3g} times" if share >= 2 else f"{share:.0%} of"
        size = "less than 1% of" if share < 0.01 else words
        return f" ({size} the constant baseline)"

    @cached_property
    def straightness(self) -> float:
        """The straightness of the training loss over the sum of the learning rates."""
        return self.train.straightness(self.history.lrs)

    @cached_property
    def falls_steadily(self) -> bool:
        """Whether the training loss falls in a straight line, and the validation loss with it."""
        is_smooth = len(self.train) >= MANY_EPOCHS and self.train.mean_relative_rise == 0
        return (
            self.straightness >= (_STRAIGHT_IF_SMOOTH if is_smooth else _STRAIGHT)
            and self.train.trend() <= -STEADY
            and self.main.turn >= len(self.main) // 2
        )
