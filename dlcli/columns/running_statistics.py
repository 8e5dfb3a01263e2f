"""Statistics of numbers, block by block."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RunningStatistics:
    """Count, ends, mean and squared deviations of numbers that were never in memory at once."""

    count: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0  # of the deviations from the mean, summed

    @classmethod
    def of(cls, numbers: np.ndarray) -> "RunningStatistics":
        """Return the statistics of numbers [count], none of them NaN."""
        if not len(numbers):
            return cls()
        with np.errstate(invalid="ignore", over="ignore"):  # refused elsewhere
            mean = numbers.mean()
            squares = np.add.reduce((numbers - mean) ** 2)
        return cls(
            len(numbers),
            float(numbers.min()),
            float(numbers.max()),
            float(mean),
            float(squares),
        )

    def __add__(self, other: "RunningStatistics") -> "RunningStatistics":
        """Return the statistics of both together (Chan, Golub and LeVeque 1979)."""
        if not (self.count and other.count):
            return self if self.count else other
        count, apart = self.count + other.count, other.mean - self.mean
        return RunningStatistics(
            count,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
            self.mean + apart * (other.count / count),
            self.squares + other.squares + apart * apart * (self.count * other.count / count),
        )

    @property
    def deviation(self) -> float:
        """The standard deviation, by the number of numbers."""
        return math.sqrt(self.squares / self.count)

    @property
    def is_constant(self) -> bool:
        """Whether all numbers are the same one."""
        return self.count > 0 and self.least == self.greatest


def center_and_deviation(statistics: RunningStatistics) -> tuple[float, float]:
    """Return what to subtract and to divide by, to standardise; constants are divided by 1."""
    if not statistics.count:
        return 0.0, 1.0
    if statistics.is_constant:  # the mean of equal numbers can differ from them by rounding
        return statistics.least, 1.0
    return statistics.mean, statistics.deviation


def median(values: np.ndarray) -> float:
    """Return the median of those that are not NaN; 0 where all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    middle = [(len(known) - 1) // 2, len(known) // 2]
    return float(np.partition(known, middle)[middle].mean())  # np.median would import numpy.ma
