"""Metrics of predicted classes."""

from typing import TYPE_CHECKING, Self, final

from dlcli.metrics.base import Metric, Sums
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows


class ClassCounts(Sums):
    """Rows by true class, by predicted class, and by class where both agree: [classes, …]."""

    def __init__(self) -> None:
        self.actual: np.ndarray | int = 0
        self.predicted: np.ndarray | int = 0
        self.right: np.ndarray | int = 0

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        self.actual = self.actual + _precise(rows.by_truth.sum(weights))
        self.predicted = self.predicted + _precise(rows.by_predicted.sum(weights))
        self.right = self.right + _precise(rows.by_right.sum(weights))

    def __iadd__(self, other: Self) -> Self:
        self.actual = self.actual + other.actual
        self.predicted = self.predicted + other.predicted
        self.right = self.right + other.right
        return self


def _precise(sums: "np.ndarray") -> "np.ndarray":
    """Return sums in float32 as float64, in which they are divided; others as they are."""
    return sums.astype("float64") if sums.dtype == "float32" else sums


class ClassMetric(Metric):
    """A metric of predicted classes."""

    tasks: tuple[Task, ...] = ("binary", "multiclass")
    is_higher_better = True
    is_share = True

    def new_sums(self, *, is_streamed: bool) -> Sums:
        del is_streamed
        return ClassCounts()


@final
class Accuracy(ClassMetric):
    """The share of rows whose class is predicted."""

    name = "accuracy"
    label = "accuracy"
    tasks = ("binary", "multiclass", "ordinal")

    def values(self, sums: ClassCounts) -> "np.ndarray":
        import numpy as np

        return np.asarray(np.sum(sums.right, axis=0) / np.sum(sums.actual, axis=0))


@final
class BalancedAccuracy(ClassMetric):
    """The mean recall of the classes that rows have."""

    name = "balanced_accuracy"
    label = "balanced accuracy"

    def values(self, sums: ClassCounts) -> "np.ndarray":
        return mean_of_defined(sums.right, sums.actual)


@final
class MacroF1(ClassMetric):
    """The mean F1 of the classes that rows have or are predicted."""

    name = "macro_f1"
    label = "macro F1"
    tasks = ("binary", "multiclass", "multilabel")

    def values(self, sums: ClassCounts) -> "np.ndarray":
        return mean_of_defined(2 * sums.right, sums.actual + sums.predicted)


def mean_of_defined(above: "np.ndarray | int", below: "np.ndarray | int") -> "np.ndarray":
    """Return the mean over classes of quotients [classes, …], of those that are not over 0."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = np.divide(above, below)
        known = np.isfinite(quotients)
        mean: np.ndarray = np.where(known, quotients, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean
