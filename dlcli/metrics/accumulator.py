"""Several metrics of the same rows, each kind of sums computed once."""

from collections.abc import Sequence

import numpy as np

from dlcli.metrics.base import Metric, Sums
from dlcli.metrics.rows import ScoredRows


class MetricAccumulator:
    """Running totals for metrics."""

    def __init__(self, metrics: Sequence[Metric], *, is_streamed: bool = False) -> None:
        """Sum nothing yet; `is_streamed`: rows come in blocks, in memory that does not grow."""
        self._metrics = tuple(metrics)
        self._sums: dict[type[Sums], Sums] = {}
        self._kinds: dict[str, type[Sums]] = {}
        for metric in self._metrics:
            sums = metric.new_sums(is_streamed=is_streamed)
            self._kinds[metric.name] = type(sums)
            self._sums.setdefault(type(sums), sums)

    def add(self, rows: ScoredRows, weights: np.ndarray | None = None) -> None:
        """Add rows, each `weights` [rows, …] times; once without."""
        for sums in self._sums.values():
            sums.add(rows, weights)

    def __iadd__(self, other: "MetricAccumulator") -> "MetricAccumulator":
        """Add the totals of other rows for the same metrics."""
        for kind in self._sums:
            self._sums[kind] += other._sums[kind]
        return self

    def values(self) -> dict[str, np.ndarray]:
        """Return each metric of each resample, by name; NaN where it is undefined."""
        return {
            metric.name: metric.values(self._sums[self._kinds[metric.name]])
            for metric in self._metrics
        }

    def figures(self) -> dict[str, float | None]:
        """Return each metric by name; None where the rows don't define it."""
        return {
            metric.name: metric.value(self._sums[self._kinds[metric.name]])
            for metric in self._metrics
        }


def compute_metrics(
    metrics: Sequence[Metric], rows: ScoredRows, weights: np.ndarray | None = None
) -> dict[str, float | None]:
    """Return metrics of rows that are there at once, by name; None where they don't define one.

    Each row counts `weights` [rows] times; once without.
    """
    accumulator = MetricAccumulator(metrics)
    accumulator.add(rows, weights)
    return accumulator.figures()
