"""Paired tests of candidates: which is better, and which can't be told apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dlcli.student_t import central_quantile, two_sided_probability

LEVEL = 0.05  # family-wise error rate: of any false difference among all pairs
_ROUNDING = 1e-5  # of a loss: runs that differ by less may be the same, executed in another way


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval, by Student's t."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """One candidate's losses less another's, pair by pair."""

    first: str  # the better one by its mean
    second: str
    by: Interval  # first less second: below 0
    p_value: float  # of the paired t-test
    adjusted: float  # for all pairs that are compared, by Holm

    @property
    def names(self) -> tuple[str, str]:
        """Both candidates, the better one first."""
        return self.first, self.second

    @property
    def is_clear(self) -> bool:
        """Whether the two can be told apart."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Verdict:
    """The result of the tests of all pairs."""

    order: tuple[str, ...]  # from the lowest mean loss to the highest
    differences: tuple[Difference, ...]  # of every pair
    groups: tuple[tuple[str, ...], ...]  # as large as can be: none in a group can be told apart

    @property
    def winner(self) -> str | None:
        """The candidate that is clearly better than every other one, if there is one."""
        best = self.order[0]
        rivals = [difference for difference in self.differences if best in difference.names]
        return best if rivals and all(difference.is_clear for difference in rivals) else None


def judge(losses: Mapping[str, Sequence[float]]) -> Verdict:
    """Judge candidates by their losses, [pairs] each, finite; the same place is the same pair.

    Paired t-tests of all pairs of candidates, corrected by Holm's step-down procedure (1979), so
    that the chance of any false difference stays below LEVEL.
    """
    arrays = {name: np.asarray(values, np.float64) for name, values in losses.items()}
    order = sorted(arrays, key=lambda name: float(arrays[name].mean()))
    pairs = list(combinations(order, 2))
    apart = [_apart(arrays[first], arrays[second]) for first, second in pairs]
    p_values = [_p_value(values) for values in apart]
    differences = tuple(
        Difference(first, second, mean_interval(values), p_value, adjusted)
        for (first, second), values, p_value, adjusted in zip(
            pairs, apart, p_values, adjust(p_values), strict=True
        )
    )
    return Verdict(tuple(order), differences, _groups(order, differences))


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Return the mean of numbers and its interval; infinite for a single number."""
    numbers = np.asarray(values, np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(mean, -math.inf, math.inf)
    reach = central_quantile(0.95, len(numbers) - 1) * _standard_error(numbers)
    return Interval(mean, mean - reach, mean + reach)


def adjust(p_values: Sequence[float]) -> list[float]:
    """Return p-values that can each be held against the level for all of them, by Holm (1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return differences, 0 where rounding explains them."""
    differences = first - second
    is_rounding = np.abs(differences) <= _ROUNDING * np.maximum(np.abs(first), np.abs(second))
    return np.where(is_rounding, 0.0, differences)


def _p_value(differences: np.ndarray) -> float:
    """Return how likely such differences are where there is none, by the paired t-test."""
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) == 0:  # the same in every pair, which the test can't divide by
        return float(differences[0] == 0)
    t = float(differences.mean()) / _standard_error(differences)
    return two_sided_probability(t, len(differences) - 1)


def _standard_error(numbers: np.ndarray) -> float:
    """Return the standard error of the mean."""
    return float(numbers.std(ddof=1)) / math.sqrt(len(numbers))


def _groups(order: Sequence[str], differences: Sequence[Difference]) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups without a clear difference in them (Piepho 2004)."""
    groups = [frozenset(order)]
    for difference in differences:
        if difference.is_clear:
            pair = set(difference.names)
            split = [group - {name} for group in groups if pair <= group for name in pair]
            kept = [group for group in groups if not pair <= group]
            groups = _largest([*kept, *split])
    return tuple(
        sorted(
            (tuple(name for name in order if name in group) for group in groups),
            key=lambda group: [order.index(name) for name in group],
        )
    )


def _largest(groups: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Leave out groups that are part of others."""
    distinct = set(groups)
    return [group for group in distinct if not any(group < other for other in distinct)]
