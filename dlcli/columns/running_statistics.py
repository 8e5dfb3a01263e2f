"""Where numbers lie and how far they spread, block by block."""

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
        """Return the spread of numbers [count], none of them NaN."""
        if not len(numbers):
            return cls()
        with np.errstate(invalid="ignore", over="ignore"):  # endless numbers are told elsewhere
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
        """Return the spread of both together (Chan, Golub and LeVeque 1979)."""
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
