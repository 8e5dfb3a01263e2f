"""Metrics of predicted numbers."""

from typing import TYPE_CHECKING, Self, final

from dlcli.metrics.base import Metric, Sums
from dlcli.targets.task import Task

if TYPE_CHECKING:
    import numpy as np

    from dlcli.metrics.rows import ScoredRows
    from dlcli.targets.base import TargetValues

_ROUNDING = 1e-12  # of the largest square: a weighted spread of equal numbers is this much


class ErrorSums(Sums):
    """Weights, errors, and the mean and spread of the truth: all [] or [resamples]."""

    def __init__(self) -> None:
        self.weight: np.ndarray | float = 0.0
        self.squared: np.ndarray | float = 0.0
        self.absolute: np.ndarray | float = 0.0
        self.mean: np.ndarray | float = 0.0  # of the truth
        self.spread: np.ndarray | float = 0.0  # summed squares of the truth's deviations from it
        self.rounding: np.ndarray | float = 0.0  # what the spread of equal numbers can come to
        self.least = float("inf")  # of the truth of all rows, whatever their weights
        self.greatest = -float("inf")

    def add(self, rows: "ScoredRows", weights: "np.ndarray | None" = None) -> None:
        import numpy as np

        if not len(rows.truth):
            return
        block, centered = type(self)(), rows.centered
        block.least, block.greatest = float(rows.truth.min()), float(rows.truth.max())
        if weights is None:
            block.weight = len(rows.truth)
            block.squared = rows.squared_errors.sum()
            block.absolute = np.abs(rows.errors).sum()
            block.mean, block.spread = rows.truth.mean(), np.add.reduce(centered**2)
        else:
            block.weight = weight = weights.sum(axis=0)
            block.squared = rows.squared_errors @ weights
            block.absolute = np.abs(rows.errors) @ weights
            total = centered @ weights
            with np.errstate(invalid="ignore"):
                shift = np.where(weight > 0, total / weight, 0.0)
                block.mean = rows.truth.mean() + shift
                block.spread = centered**2 @ weights - np.where(weight > 0, total**2 / weight, 0.0)
            block.rounding = _ROUNDING * (centered**2).max() * weight
        self += block

    def __iadd__(self, other: Self) -> Self:
        """Add by Chan, Golub and LeVeque (1979)."""
        import numpy as np

        if self.least > self.greatest:  # empty
            self.__dict__.update(other.__dict__)
            return self
        weight = self.weight + other.weight
        with np.errstate(invalid="ignore"):
            apart = np.where(weight > 0, other.mean - self.mean, 0.0)
            share = np.where(weight > 0, other.weight / weight, 0.0)
        self.mean = self.mean + apart * share
        self.spread = self.spread + other.spread + apart * apart * (self.weight * share)
        self.weight = weight
        self.squared = self.squared + other.squared
        self.absolute = self.absolute + other.absolute
        self.rounding = self.rounding + other.rounding
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        return self


class _NumberMetric(Metric):
    tasks: tuple[Task, ...] = ("regression", "forecast")

    def new_sums(self, *, is_streamed: bool) -> Sums:
        del is_streamed
        return ErrorSums()


@final
class RootMeanSquaredError(_NumberMetric):
    """The root of the mean squared error, in the target's units."""

    name = "rmse"
    label = "RMSE"
    is_higher_better = False

    def values(self, sums: ErrorSums) -> "np.ndarray":
        import numpy as np

        return np.asarray(np.sqrt(sums.squared / sums.weight))


@final
class MeanAbsoluteErrorMetric(_NumberMetric):
    """The mean absolute error, in the target's units."""

    name = "mae"
    label = "mean absolute error"
    is_higher_better = False

    def values(self, sums: ErrorSums) -> "np.ndarray":
        import numpy as np

        return np.asarray(sums.absolute / sums.weight)


@final
class R2(_NumberMetric):
    """The share of the truth's variance that is explained."""

    name = "r2"
    label = "R²"
    is_higher_better = True

    def why_undefined(self, values: "TargetValues") -> str | None:
        if values.constant is None:
            return None
        return f"the target is {values.constant:g} in all of them"

    def values(self, sums: ErrorSums) -> "np.ndarray":
        import numpy as np

        spread = np.asarray(sums.spread)
        is_constant = (sums.least == sums.greatest) | (spread <= sums.rounding)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(is_constant, np.nan, 1 - sums.squared / spread)
