"""Metrics of several labels at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, final

from dlcli.metrics.base import Metric, Sums
from dlcli.metrics.classification import ClassCounts, ClassMetric
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows


class ExactRows(Sums):
    """Rows, and those of them whose labels are all right and no other: [] or [resamples]."""

    def __init__(self) -> None:
        self.num_rows: np.ndarray | float = 0.0
        self.exact: np.ndarray | float = 0.0

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        import numpy as np

        exact = rows.are_exact
        if weights is None:
            self.num_rows, self.exact = self.num_rows + len(exact), self.exact + exact.sum()
            return
        self.num_rows = self.num_rows + np.sum(weights, axis=0, dtype=np.float64)
        self.exact = self.exact + np.sum(weights[exact], axis=0, dtype=np.float64)

    def __iadd__(self, other: Self) -> Self:
        self.num_rows = self.num_rows + other.num_rows
        self.exact = self.exact + other.exact
        return self


@final
class MicroF1(ClassMetric):
    """The F1 of all labels of all rows together."""

    name = "micro_f1"
    label = "micro F1"
    tasks: tuple[Task, ...] = ("multilabel",)

    def values(self, sums: ClassCounts) -> "np.ndarray":
        import numpy as np

        right, found = (np.sum(some, axis=0) for some in (sums.right, sums.actual + sums.predicted))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * right / found)


@final
class SubsetAccuracy(Metric):
    """The share of rows whose labels are all predicted, and no other."""

    name = "subset_accuracy"
    label = "subset accuracy"
    tasks: tuple[Task, ...] = ("multilabel",)
    is_higher_better = True
    is_share = True

    def new_sums(self, *, is_streamed: bool) -> Sums:
        del is_streamed
        return ExactRows()

    def values(self, sums: ExactRows) -> "np.ndarray":
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.divide(sums.exact, sums.num_rows))


class LabelFigures:
    """Running totals of each label, for its recall, precision and F1."""

    def __init__(self, names: Sequence[str]) -> None:
        """Sum nothing yet; `names` are those of the labels."""
        self._names, self._counts = tuple(names), ClassCounts()

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        """Add rows, each `weights` [rows] times; once without."""
        self._counts.add(rows, weights)

    def figures(self) -> dict[str, dict[str, float | None]]:
        """Return the rows of each label, or their weight, and its figures; None: undefined."""
        import numpy as np

        counts = self._counts
        actual, predicted, right = map(np.asarray, (counts.actual, counts.predicted, counts.right))
        with np.errstate(divide="ignore", invalid="ignore"):
            of_label = {
                "rows": actual,
                "recall": right / actual,
                "precision": right / predicted,
                "f1": 2 * right / (actual + predicted),
            }
        return {
            label: {
                name: None if np.isnan(values[index]) else values[index].item()
                for name, values in of_label.items()
            }
            for index, label in enumerate(self._names)
        }
