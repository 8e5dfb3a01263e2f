"""Figures of forecasts, step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlcli.metrics.accumulator import MetricAccumulator
from dlcli.metrics.base import Metric
from dlcli.metrics.rows import ScoredRows


class StepFigures:
    """Running totals for metrics of each number at each step ahead."""

    def __init__(self, metrics: Sequence[Metric], names: Sequence[str]) -> None:
        """Sum nothing yet; `names` are those of the numbers."""
        self._metrics, self._names = tuple(metrics), tuple(names)
        self._sums: list[list[MetricAccumulator]] = []  # by number, then by step

    def add(
        self, predictions: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
    ) -> None:
        """Add forecasts and what came, [rows, numbers, horizon] both, each `weights` [rows] times.

        Without weights, each counts once.
        """
        horizon = range(predictions.shape[2])
        if not self._sums:
            self._sums = [
                [MetricAccumulator(self._metrics, is_streamed=True) for _ in horizon]
                for _ in self._names
            ]
        for index, of_steps in enumerate(self._sums):
            for step, sums in zip(horizon, of_steps, strict=True):
                sums.add(ScoredRows(predictions[:, index, step], truth[:, index, step]), weights)

    def figures(self) -> dict[str, Any]:
        """Return the metrics of each step ahead, by the name of the number and the metric's."""
        found = {}
        for name, of_steps in zip(self._names, self._sums, strict=True):
            each = [sums.figures() for sums in of_steps]
            found[name] = {one.name: [step[one.name] for step in each] for one in self._metrics}
        return found
