"""Outputs → answers in the user's terms, and how good they are by scikit-learn's measures."""

import warnings
from collections.abc import Iterable
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from dlcli.config.objectives import BinaryCrossEntropy, Loss
from dlcli.config.training import Metric
from dlcli.data.target import ClassTarget, FittedTarget, NumberTarget


def to_answers(outputs: Tensor, loss: Loss, target: FittedTarget) -> np.ndarray:
    """Turn outputs `[rows, num_outputs]` into answers, float64.

    Probabilities `[rows, classes]`, or numbers in the target's own units `[rows]`.
    """
    outputs = outputs.double()
    if isinstance(target, NumberTarget):
        return (outputs[:, 0] * target.scale + target.center).numpy()
    if isinstance(loss, BinaryCrossEntropy):
        positive = torch.sigmoid(outputs[:, 0])
        # 1 - p by the sigmoid of -z: it keeps its digits where p is near 1.
        return torch.stack([torch.sigmoid(-outputs[:, 0]), positive], dim=1).numpy()
    return torch.softmax(outputs, dim=1).numpy()


def score(
    answers: np.ndarray, truth: np.ndarray, target: FittedTarget, names: Iterable[Metric]
) -> dict[str, float | None]:
    """Return the named figures; None where the rows don't define one.

    `truth` is what the data room encodes: class indices or scaled numbers, [rows].
    """
    from sklearn import metrics  # here: half a second, and only who evaluates needs it

    def value(name: Metric) -> float | None:
        match name:
            case "accuracy":
                return float(metrics.accuracy_score(truth, predicted))
            case "balanced_accuracy":
                return float(metrics.balanced_accuracy_score(truth, predicted))
            case "macro_f1":
                return float(metrics.f1_score(truth, predicted, average="macro"))
            case "roc_auc":
                return _roc_auc(answers, truth)
            case "rmse":
                return float(metrics.root_mean_squared_error(own, answers))
            case "mae":
                return float(metrics.mean_absolute_error(own, answers))
            case "r2":
                return float(metrics.r2_score(own, answers)) if np.ptp(own) > 0 else None
            case "loss":
                raise ValueError("the loss is the objective's affair")
            case _:
                assert_never(name)

    if isinstance(target, ClassTarget):
        predicted = answers.argmax(axis=1)
    else:
        own = truth.astype(np.float64) * target.scale + target.center
    with warnings.catch_warnings():
        # It warns of classes that a small part of the rows lacks; the figures stay defined.
        warnings.simplefilter("ignore", UserWarning)
        return {name: value(name) for name in names}


def confusion_matrix(answers: np.ndarray, truth: np.ndarray) -> list[list[int]]:
    """Return how often a class (row) was given as another (column)."""
    from sklearn import metrics

    num_classes = answers.shape[1]
    matrix = metrics.confusion_matrix(truth, answers.argmax(axis=1), labels=range(num_classes))
    return [[int(count) for count in row] for row in matrix]


def _roc_auc(probabilities: np.ndarray, truth: np.ndarray) -> float | None:
    """One class against the rest, the mean over classes; None where a class has no rows."""
    from sklearn import metrics

    num_classes = probabilities.shape[1]
    if len(np.unique(truth)) < num_classes:
        return None
    if num_classes == 2:
        return float(metrics.roc_auc_score(truth, probabilities[:, 1]))
    return float(metrics.roc_auc_score(truth, probabilities, multi_class="ovr"))
