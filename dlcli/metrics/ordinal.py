"""Metrics of predicted classes that have an order."""

from typing import TYPE_CHECKING, Self, final

from dlcli.metrics.base import Metric, Sums
from dlcli.metrics.classification import ClassCounts
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows


class RankSums(ClassCounts):
    """Rows by class, and sums of how many ranks predictions are off, all [] or [resamples]."""

    def __init__(self) -> None:
        super().__init__()
        self.distance: np.ndarray | float = 0.0
        self.squared: np.ndarray | float = 0.0

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        super().add(rows, weights)
        distance = abs(rows.predicted - rows.truth).astype("float64")
        squared = distance**2
        self.distance = self.distance + (distance.sum() if weights is None else distance @ weights)
        self.squared = self.squared + (squared.sum() if weights is None else squared @ weights)

    def __iadd__(self, other: Self) -> Self:
        super().__iadd__(other)
        self.distance = self.distance + other.distance
        self.squared = self.squared + other.squared
        return self


class _RankMetric(Metric):
    tasks: tuple[Task, ...] = ("ordinal",)

    def new_sums(self, *, is_streamed: bool) -> Sums:
        del is_streamed
        return RankSums()


@final
class RankError(_RankMetric):
    """The mean number of ranks between the predicted class and the true one."""

    name = "rank_error"
    label = "mean absolute error in ranks"
    is_higher_better = False

    def values(self, sums: RankSums) -> "np.ndarray":
        import numpy as np

        return np.asarray(sums.distance / np.sum(sums.actual, axis=0))


@final
class QuadraticKappa(_RankMetric):
    """Agreement beyond chance, where errors count by their squared distance in ranks (Cohen 1968).

    1 where all predictions are right, 0 where they are no better than chance.
    """

    name = "quadratic_kappa"
    label = "quadratic weighted kappa"
    is_higher_better = True

    def values(self, sums: RankSums) -> "np.ndarray":
        import numpy as np

        actual, predicted = np.asarray(sums.actual), np.asarray(sums.predicted)
        ranks = np.arange(len(actual), dtype=np.float64)
        apart = np.subtract.outer(ranks, ranks) ** 2
        by_chance = (actual * np.tensordot(apart, predicted, 1)).sum(axis=0) / actual.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(by_chance > 0, 1 - sums.squared / by_chance, np.nan))
