"""A loss against epochs, and what can be said of its shape in spite of its jumps."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_WIDEST_WINDOW = 101  # epochs
_FEWEST = 4  # losses that have a trend
_FLOOR = 0.1  # of the reference: jumps of what is far below it matter to no one


@dataclass(frozen=True)
class LossCurve:
    """Losses by epoch; at least one, all finite."""

    epochs: np.ndarray  # their numbers, float64 [epochs]
    losses: np.ndarray  # float64 [epochs]
    reference: float  # a loss that counts as large; above 0

    def __len__(self) -> int:
        return len(self.losses)

    @cached_property
    def smoothed(self) -> np.ndarray:
        """The running median over a tenth of the epochs, at least three, [epochs].

        Windows are as wide to one side as to the other: towards the ends they become narrower.
        """
        reach = min(max(len(self) // 10, 3), _WIDEST_WINDOW) // 2
        smoothed = self.losses.copy()
        for width in range(1, min(reach, (len(self) - 1) // 2) + 1):
            windows = np.lib.stride_tricks.sliding_window_view(self.losses, 2 * width + 1)
            inside = slice(width, len(self) - width) if width == reach else [width, -1 - width]
            smoothed[inside] = np.median(windows if width == reach else windows[[0, -1]], axis=1)
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
        """The mean rise from one epoch to the next, falls counted as 0, over the loss itself.

        Of the last three quarters, without what they rose in all; a loss below a tenth of the
        reference counts as that tenth.
        """
        settled = self.losses[len(self) // 4 :]
        if len(settled) < 2:
            return 0.0
        level = max(float(np.median(settled)), _FLOOR * self.reference)
        risen = float(np.maximum(np.diff(settled), 0.0).sum())
        return (risen - max(0.0, float(settled[-1] - settled[0]))) / (len(settled) - 1) / level

    def trend(self, start: int = 0) -> float:
        """Return Kendall's rank correlation (1938) of loss and epoch from an index on.

        From -1, every later loss is lower, to 1. 0 for fewer than four losses, or equal ones.
        """
        from scipy import stats

        losses = self.losses[start:]
        if len(losses) < _FEWEST or np.ptp(losses) == 0:
            return 0.0
        return float(stats.kendalltau(np.arange(len(losses)), losses).statistic)

    @cached_property
    def late_trend(self) -> float:
        """The trend of the second half, of four losses at least."""
        return self.trend(max(0, min(len(self) // 2, len(self) - _FEWEST)))

    @cached_property
    def late_fall(self) -> float:
        """By how much the smoothed loss fell over the last quarter of the epochs; below 0: rose."""
        return float(self.smoothed[-1 - max(1, len(self) // 4)]) - self.last if len(self) > 1 else 0

    def straightness(self, pace: np.ndarray) -> float:
        """Return the second half's fall over the first half's: 1 for a straight line.

        Half of the way is where half of the sum of `pace` is done, [epochs]: with the learning
        rates for it, a loss that flattens only because they fall to nothing is still straight.
        0 where it did not fall in the first half.
        """
        way = np.cumsum(pace)
        if len(self) < 3 or not way[-1] > 0:
            return 0.0
        middle = float(np.interp((way[0] + way[-1]) / 2, way, self.smoothed))
        begun = self.first - middle
        return (middle - self.last) / begun if begun > 0 else 0.0
