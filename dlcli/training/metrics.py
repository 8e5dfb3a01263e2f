"""Outputs → answers in the user's terms, and how good they are."""

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from dlcli.config.sections.training import Metric
from dlcli.data.target import ClassTarget, FittedTarget, NumberTarget
from dlcli.losses import Loss


def to_answers(outputs: Tensor, loss: Loss, target: FittedTarget) -> np.ndarray:
    """Turn outputs `[rows, num_outputs]` into answers, float64.

    Probabilities `[rows, classes]`, or numbers in the target's own units `[rows]`.
    """
    predictions = loss.predictions(outputs)
    if isinstance(target, NumberTarget):
        return predictions * target.scale + target.center
    return predictions


def score(
    answers: np.ndarray, truth: np.ndarray, target: FittedTarget, names: Iterable[Metric]
) -> dict[str, float | None]:
    """Return the named figures, as scikit-learn defines them; None where the rows define none.

    `truth` is what the data room encodes: class indices or scaled numbers, [rows]. A class that is
    neither among the rows nor among the answers counts for nothing in `macro_f1`, one that is not
    among the rows for nothing in `balanced_accuracy`; `roc_auc` is the mean over classes, each
    against the rest.
    """
    if isinstance(target, ClassTarget):
        return {name: _class_figure(name, answers, truth) for name in names}
    own = truth.astype(np.float64) * target.scale + target.center
    return {name: _number_figure(name, answers, own) for name in names}


def confusion_matrix(answers: np.ndarray, truth: np.ndarray) -> list[list[int]]:
    """Return how often a class (row) was given as another (column)."""
    counts: list[list[int]] = _counts(answers, truth).tolist()
    return counts


def _counts(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the confusion matrix, int64 [classes, classes]."""
    num_classes = answers.shape[1]
    pairs = truth * num_classes + answers.argmax(axis=1)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def _class_figure(name: Metric, answers: np.ndarray, truth: np.ndarray) -> float | None:
    counts = _counts(answers, truth)
    right, actual, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    match name:
        case "accuracy":
            return float(right.sum() / len(truth))
        case "balanced_accuracy":
            return float((right[actual > 0] / actual[actual > 0]).mean())
        case "macro_f1":
            either = actual + predicted
            return float((2 * right[either > 0] / either[either > 0]).mean())
        case "roc_auc":
            return _roc_auc(answers, truth) if actual.all() else None
        case _:
            raise ValueError(f"classes have no {name}")


def _number_figure(name: Metric, answers: np.ndarray, own: np.ndarray) -> float | None:
    errors = answers - own
    match name:
        case "rmse":
            return float(np.sqrt((errors**2).mean()))
        case "mae":
            return float(np.abs(errors).mean())
        case "r2":
            if np.ptp(own) == 0:
                return None
            return float(1 - (errors**2).sum() / ((own - own.mean()) ** 2).sum())
        case _:
            raise ValueError(f"numbers have no {name}")


def _roc_auc(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return one class's area, or the mean over classes of each against the rest."""
    num_classes = probabilities.shape[1]
    classes = [1] if num_classes == 2 else range(num_classes)
    return float(np.mean([_area(probabilities[:, k], truth == k) for k in classes]))


def _area(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the share of pairs, one of each kind, in which the positive one has the higher score.

    Equal scores count half (Mann and Whitney 1947); it is the area under the ROC curve.
    """
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(sizes) - (sizes - 1) / 2  # from 1, the mean rank of equal scores
    num_positive = int(is_positive.sum())
    won = ranks[group][is_positive].sum() - num_positive * (num_positive + 1) / 2
    return float(won / (num_positive * (len(scores) - num_positive)))
