"""Which settings mattered in a search: how much of the ranking each explains by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from dlcli.student_t import central_quantile
from dlcli.trials.comparing.verdict import LEVEL, adjust
from dlcli.trials.searching.search import Entry
from dlcli.trials.searching.space import Dimension, Space

_MIN_TRIALS = 12
_TRIALS_PER_NUMBER = 5  # that is fitted
_NUM_SHUFFLES = 4999
_NUM_GROUPS = 40  # that the jackknife leaves out in turn


@dataclass(frozen=True)
class Importance:
    """How much of the differences between trials a setting explains by itself."""

    key: str
    share: float  # of the variance of the ranks: adjusted R²
    low: float  # 95 % interval, by the jackknife
    high: float
    p_value: float  # of the share among trials whose settings are shuffled, by Holm for all keys
    best_value: JsonValue  # of those that were tried, by the fit

    @property
    def is_clear(self) -> bool:
        """Whether it is more than what chance explains."""
        return self.p_value < LEVEL


def importances(space: Space, entries: Sequence[Entry]) -> tuple[Importance, ...] | str:
    """Return what each setting explains, the most first; or why that can't be told.

    Of the trials with the fewest epochs, as all settings were tried for so many. Their ranks, and
    not their losses, as one that diverged would outweigh all others. Numbers are fitted by a
    quadratic on the scale that they were sampled on, choices by their means.
    """
    tried = [entry for entry in entries if entry.rung == 0 and entry.settings]
    if len(tried) < _MIN_TRIALS:
        return f"{len(tried)} trials are too few to tell which settings mattered"
    ranks = _ranks(np.array([entry.value for entry in tried]))
    if np.ptp(ranks) == 0:
        return "all trials were equally good"
    found = []
    for dimension in space.dimensions:
        values = [entry.settings[dimension.key] for entry in tried]
        design = _design(dimension, values)
        if design is not None:
            found.append((dimension.key, values, design))
    if not found:
        return f"{len(tried)} trials are too few to tell which settings mattered"
    generator = np.random.default_rng(0)
    shuffled = generator.permuted(np.tile(ranks, (_NUM_SHUFFLES, 1)), axis=1).T
    p_values = [_p_value(design, ranks, shuffled) for _, _, design in found]
    results = []
    for (key, values, design), p_value in zip(found, adjust(p_values), strict=True):
        share, (low, high) = _adjusted(design, ranks), _interval(design, ranks)
        best = values[int(np.argmin(_fit(design, ranks)))]
        results.append(Importance(key, max(0.0, share), low, high, p_value, best))
    return tuple(sorted(results, key=lambda one: (one.p_value >= LEVEL, -one.share)))


def _design(dimension: Dimension, values: Sequence[JsonValue]) -> np.ndarray | None:
    """Return the columns that are fitted, [trials, numbers], without the mean; None: too few."""
    places = np.array([dimension.place(value) for value in values])
    distinct = np.unique(places)
    is_choice = not dimension.is_ordered or len(distinct) <= 3
    if is_choice:
        design = (places[:, None] == distinct[1:]).astype(float)
    else:
        design = np.stack([places, places**2], axis=1)
    if len(distinct) < 2 or len(values) < _TRIALS_PER_NUMBER * (design.shape[1] + 1):
        return None
    centred: np.ndarray = design - design.mean(0)
    return centred


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from the best to the worst, ties at their mean."""
    order = np.sort(values)
    first, last = np.searchsorted(order, values), np.searchsorted(order, values, side="right")
    return (first + last) / 2.0


def _fit(design: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the fitted ranks less their mean, [trials] or [trials, several]."""
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, sizes > 1e-9 * sizes[0]]
    fitted: np.ndarray = basis @ (basis.T @ (ranks - ranks.mean(0)))
    return fitted


def _explained(design: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return R²."""
    centred = ranks - ranks.mean(0)
    share: np.ndarray = (_fit(design, ranks) ** 2).sum(0) / (centred**2).sum(0)
    return share


def _adjusted(design: np.ndarray, ranks: np.ndarray) -> float:
    """Return R², less what as many numbers explain by chance."""
    count, numbers = design.shape
    return float(1 - (1 - _explained(design, ranks)) * (count - 1) / (count - numbers - 1))


def _p_value(design: np.ndarray, ranks: np.ndarray, shuffled: np.ndarray) -> float:
    at_least = int((_explained(design, shuffled) >= _explained(design, ranks) - 1e-12).sum())
    return (at_least + 1) / (_NUM_SHUFFLES + 1)


def _interval(design: np.ndarray, ranks: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the adjusted share, by a grouped jackknife."""
    groups = min(_NUM_GROUPS, len(ranks))
    group_of = np.arange(len(ranks)) % groups
    shares = []
    for group in range(groups):
        kept = group_of != group
        some = design[kept] - design[kept].mean(0)
        shares.append(_adjusted(some, ranks[kept]) if np.any(some) else 0.0)
    spread = (groups - 1) / groups * ((np.array(shares) - np.mean(shares)) ** 2).sum()
    reach = central_quantile(0.95, groups - 1) * float(np.sqrt(spread))
    share = _adjusted(design, ranks)
    return max(0.0, share - reach), min(1.0, max(0.0, share) + reach)
