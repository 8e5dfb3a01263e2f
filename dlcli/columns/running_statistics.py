"""Statistics of numbers, block by block."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RunningStatistics:
    """Count, ends, mean and squared deviations of numbers that were never in memory at once.

    Where numbers have weights, above 0, each is there that many times.
    """

    count: float = 0  # a whole number without weights
    least: float = math.inf
    greatest: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0  # of the deviations from the mean, summed

    @classmethod
    def of(cls, numbers: np.ndarray, weights: np.ndarray | None = None) -> "RunningStatistics":
        """Return the statistics of numbers, none of them NaN, and their weights, [numbers]."""
        if not len(numbers):
            return cls()
        with np.errstate(invalid="ignore", over="ignore"):  # refused elsewhere
            if weights is None:
                count: float = len(numbers)
                mean = numbers.mean()
                squares = np.add.reduce((numbers - mean) ** 2)
            else:
                count = float(weights.sum())
                mean = numbers @ weights / count
                squares = (numbers - mean) ** 2 @ weights
        return cls(
            count,
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


@dataclass(frozen=True)
class Sample:
    """The numbers of some rows, NaN where there is none, and the weights of the rows."""

    values: np.ndarray  # float64 [rows]
    weights: np.ndarray | None = None  # float64 [rows]; None: each counts once

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(
            np.concatenate([self.values, other.values]),
            None
            if self.weights is None or other.weights is None
            else np.concatenate([self.weights, other.weights]),
        )

    def take(self, rows: np.ndarray) -> "Sample":
        """Return the numbers of some of the rows."""
        return Sample(self.values[rows], None if self.weights is None else self.weights[rows])


def median(sample: Sample) -> float:
    """Return the median of those that are not NaN; 0 where all are."""
    is_known = ~np.isnan(sample.values)
    known = sample.values[is_known]
    if not len(known):
        return 0.0
    if sample.weights is not None:
        return weighted_median(known, sample.weights[is_known])
    middle = [(len(known) - 1) // 2, len(known) // 2]
    return float(np.partition(known, middle)[middle].mean())  # np.median would import numpy.ma


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the median of values that are each there as many times as their weight, above 0."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    half = reached[-1] / 2
    # The middle lies between two values where the lower half ends exactly with one.
    middle = [np.searchsorted(reached, half, side) for side in ("left", "right")]
    return float(values[order][np.minimum(middle, len(values) - 1)].mean())


def quantiles(sample: Sample, shares: np.ndarray) -> np.ndarray:
    """Return the quantiles at some shares, from 0 to 1, of the numbers that are not NaN, [shares].

    They are `np.quantile`'s. With weights they are those of the numbers repeated, each as many
    times as its weight is that of the lightest: only ratios count. Nothing, [0], where all are NaN.
    """
    values, counts = _known(sample)
    if not len(values):
        return np.empty(0)
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(counts[order])
    # Each number holds the places of its copies, the first one at 0; what lies between two numbers'
    # places is interpolated.
    places = np.column_stack([ends - counts[order], ends - 1]).ravel()
    found: np.ndarray = np.interp(shares * (ends[-1] - 1), places, np.repeat(values[order], 2))
    return found


def total_count(sample: Sample) -> float:
    """Return how many numbers `quantiles` takes quantiles of, copies among them."""
    return float(_known(sample)[1].sum())


def _known(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers that are not NaN, and how many copies of each there are, at least 1."""
    is_known = ~np.isnan(sample.values)
    values = sample.values[is_known]
    if sample.weights is None or not len(values):
        return values, np.ones(len(values))
    weights = sample.weights[is_known]
    return values, weights / weights.min()
