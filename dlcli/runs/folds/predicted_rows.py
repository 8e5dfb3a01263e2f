"""Rows whose truth is known, and how good any predictions for them are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from dlcli.data.fitted import FittedData
from dlcli.data.splits.groups import group_codes
from dlcli.explaining.quality.bootstrap import (
    Estimate,
    Predictions,
    affordable_resamples,
    bootstrap,
    estimate,
)
from dlcli.losses import Loss
from dlcli.metrics import metrics_for
from dlcli.metrics.accumulator import MetricAccumulator
from dlcli.metrics.confusion import ConfusionCounts
from dlcli.metrics.multilabel import LabelFigures
from dlcli.metrics.rows import ScoredRows
from dlcli.tables.table import Table
from dlcli.targets.base import Target
from dlcli.training.objective import build_objective

_SECONDS = 2.0  # for the intervals of some rows


@dataclass(frozen=True)
class PredictedRows:
    """Rows whose truth is known, to hold predictions against.

    Predictions are probabilities [rows, classes] or numbers in the target's units [rows].
    """

    loss: Loss
    target: Target  # fitted to rows that are none of these, or to all that trained
    encoded: np.ndarray  # the truth as the target encodes it, [rows]
    weights: np.ndarray | None = None  # how much each row counts, [rows]
    groups: np.ndarray | None = None  # the number of each row's group, [rows]

    def __len__(self) -> int:
        return len(self.encoded)

    def take(self, rows: np.ndarray) -> "PredictedRows":
        """Return some rows, by a mask or by their indices."""
        groups = None
        if self.groups is not None:
            groups = np.unique(self.groups[rows], return_inverse=True)[1]
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, encoded=self.encoded[rows], weights=weights, groups=groups)

    def losses(self, predictions: np.ndarray) -> np.ndarray:
        """Return the loss of each row in the target's units, [rows]."""
        objective = build_objective(self.loss, self.target, torch.device("cpu"))
        outputs, targets = torch.tensor(self._outputs(predictions)), torch.tensor(self.encoded)
        weights = objective.class_weights
        each = self.loss.each(outputs, targets, None if weights is None else weights.double())
        losses: np.ndarray = each.double().numpy() * objective.unit
        return losses

    def mean_loss(self, predictions: np.ndarray) -> float:
        """Return the mean of `losses`."""
        return float(np.average(self.losses(predictions), weights=self.weights))

    def figures(self, predictions: np.ndarray) -> dict[str, Any]:
        """Return what `training.evaluation.evaluate` does of a network."""
        outputs = torch.tensor(self._outputs(predictions))
        scored = ScoredRows(
            self.target.scored(predictions),
            self.target.scored(self._truth()),
            lambda: self.loss.log_odds(outputs),
        )
        accumulator = MetricAccumulator(metrics_for(self.target.task))
        accumulator.add(scored, self.weights)
        figures: dict[str, Any] = {"loss": self.mean_loss(predictions)}
        figures |= accumulator.figures()
        if self.target.class_names:
            confusion = ConfusionCounts(len(self.target.class_names))
            confusion.add(scored, self.weights)
            figures["confusion_matrix"] = confusion.matrix.tolist()
        if self.target.has_labels:
            labels = LabelFigures(self.target.score_names)
            labels.add(scored, self.weights)
            figures["by_label"] = labels.figures()
        return figures

    def intervals(self, predictions: np.ndarray, seed: int) -> dict[str, Estimate]:
        """Return the loss and the metrics with 95 % intervals, by a bootstrap of rows or groups."""
        figures = self.figures(predictions)
        metrics = metrics_for(self.target.task)
        [samples] = bootstrap(
            [Predictions(predictions, self.losses(predictions))],
            self._truth(),
            metrics,
            seed,
            affordable_resamples(len(self), _SECONDS),
            weights=self.weights,
            groups=self.groups,
        )
        return {name: estimate(figures[name], sample) for name, sample in samples.items()}

    def _truth(self) -> np.ndarray:
        return self.target.truth(self.encoded)

    def _outputs(self, predictions: np.ndarray) -> np.ndarray:
        """Return the outputs of a network that would predict this, float64 [rows, num_outputs]."""
        return self.loss.outputs_of(self.target.from_target_units(predictions))


def rows_to_judge(rows: Table, fitted: FittedData, loss: Loss, group: str | None) -> PredictedRows:
    """Return rows as what predictions for them are held against."""
    fields = fitted.encode_targets(fitted.clean(rows))
    encoded = fields.pop(fitted.target.field)
    weights = [array.astype(np.float64) for array in fields.values()]
    groups = None if group is None else group_codes(rows, group)
    return PredictedRows(loss, fitted.target, encoded, weights[0] if weights else None, groups)
