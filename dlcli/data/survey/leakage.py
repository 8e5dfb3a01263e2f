"""How much of the target one column tells."""

import numpy as np
import polars as pl

from dlcli.columns.base import Column, OrderedColumn
from dlcli.columns.cells import parse_numbers
from dlcli.targets.task import Task

_NUM_BINS = 32
_MIN_ROWS = 40
_MUCH_BETTER = 10  # times fewer errors than by the commonest class


def share_predicted(
    cells: pl.Series, kind: type[Column], target: pl.Series, task: Task
) -> float | None:
    """Return how much of the target a column tells by itself, None where few rows can say.

    Half of the rows say what each value of the column stands for, or each of 32 quantiles; what
    this tells of the other half counts: the share of right classes (0 where the commonest class
    has nearly that), or of the variance.
    """
    if len(target) < _MIN_ROWS:
        return None
    bins = _bins(cells, kind)
    known, asked = np.array_split(np.random.default_rng(0).permutation(len(target)), 2)
    if task == "regression":
        return _share_of_variance(bins, parse_numbers(target).to_numpy(), known, asked)
    classes = target.rank("dense").to_numpy().astype(np.int64) - 1
    return _share_of_classes(bins, classes, known, asked)


def _bins(cells: pl.Series, kind: type[Column]) -> np.ndarray:
    """Return a number for each row's value, 0 where it is missing."""
    ranks = kind.parse(cells).rank("dense").fill_null(0).to_numpy().astype(np.int64)
    if not issubclass(kind, OrderedColumn) or ranks.max() <= _NUM_BINS:
        return ranks
    edges = np.quantile(ranks[ranks > 0], np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    return np.where(ranks > 0, np.searchsorted(edges, ranks, side="left") + 1, 0)


def _share_of_classes(
    bins: np.ndarray, target: np.ndarray, known: np.ndarray, asked: np.ndarray
) -> float:
    counts = np.zeros((bins.max() + 1, target.max() + 1))
    np.add.at(counts, (bins[known], target[known]), 1)
    usual = counts.sum(axis=0).argmax()
    answers = np.where(counts.any(axis=1), counts.argmax(axis=1), usual)
    errors = (answers[bins[asked]] != target[asked]).mean()
    errors_of_usual = (usual != target[asked]).mean()
    return float(1 - errors) if errors * _MUCH_BETTER < errors_of_usual else 0.0


def _share_of_variance(
    bins: np.ndarray, target: np.ndarray, known: np.ndarray, asked: np.ndarray
) -> float:
    sums, counts = np.zeros(bins.max() + 1), np.zeros(bins.max() + 1)
    np.add.at(sums, bins[known], target[known])
    np.add.at(counts, bins[known], 1)
    mean = target[known].mean()
    answers = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    spread = ((target[asked] - target[asked].mean()) ** 2).sum()
    left = ((target[asked] - answers[bins[asked]]) ** 2).sum()
    return float(1 - left / spread) if spread else 0.0
