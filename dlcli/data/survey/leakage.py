"""How well a single column predicts the target, to find target leakage."""

import numpy as np
import polars as pl

from dlcli.columns.base import Column, OrderedColumn
from dlcli.columns.cells import parse_numbers
from dlcli.targets.task import Task

_NUM_BINS = 32
_MIN_ROWS = 40
_MUCH_BETTER = 10  # times fewer errors than the majority-class baseline


def share_predicted(
    cells: pl.Series, kind: type[Column], target: pl.Series, task: Task
) -> float | None:
    """Return how much of the target a column predicts by itself, None with too few rows.

    One half of the rows gives a prediction for each value of the column, or each of 32 quantiles;
    the other half measures it: the accuracy (0 if the majority-class baseline is nearly as good)
    or the fraction of the variance.
    """
    if len(target) < _MIN_ROWS:
        return None
    bins = _bins(cells, kind)
    fit, held_out = np.array_split(np.random.default_rng(0).permutation(len(target)), 2)
    if task == "regression":
        return _share_of_variance(bins, parse_numbers(target).to_numpy(), fit, held_out)
    classes = target.rank("dense").to_numpy().astype(np.int64) - 1
    return _share_of_classes(bins, classes, fit, held_out)


def _bins(cells: pl.Series, kind: type[Column]) -> np.ndarray:
    """Return a number for each row's value, 0 where it is missing."""
    ranks = kind.parse(cells).rank("dense").fill_null(0).to_numpy().astype(np.int64)
    if not issubclass(kind, OrderedColumn) or ranks.max() <= _NUM_BINS:
        return ranks
    edges = np.quantile(ranks[ranks > 0], np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    return np.where(ranks > 0, np.searchsorted(edges, ranks, side="left") + 1, 0)


def _share_of_classes(
    bins: np.ndarray, target: np.ndarray, fit: np.ndarray, held_out: np.ndarray
) -> float:
    counts = np.zeros((bins.max() + 1, target.max() + 1))
    np.add.at(counts, (bins[fit], target[fit]), 1)
    majority = counts.sum(axis=0).argmax()
    predictions = np.where(counts.any(axis=1), counts.argmax(axis=1), majority)
    errors = (predictions[bins[held_out]] != target[held_out]).mean()
    baseline_errors = (majority != target[held_out]).mean()
    return float(1 - errors) if errors * _MUCH_BETTER < baseline_errors else 0.0


def _share_of_variance(
    bins: np.ndarray, target: np.ndarray, fit: np.ndarray, held_out: np.ndarray
) -> float:
    sums, counts = np.zeros(bins.max() + 1), np.zeros(bins.max() + 1)
    np.add.at(sums, bins[fit], target[fit])
    np.add.at(counts, bins[fit], 1)
    mean = target[fit].mean()
    predictions = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    total = ((target[held_out] - target[held_out].mean()) ** 2).sum()
    residual = ((target[held_out] - predictions[bins[held_out]]) ** 2).sum()
    return float(1 - residual / total) if total else 0.0
