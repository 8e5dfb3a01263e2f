"""Numbers as a target: regression."""

from collections.abc import Iterator
from typing import Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import CellError
from dlcli.columns.cells import LARGEST, TARGET, numbers_in
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.numeric import log_statistics, number_statistics, refuse_other
from dlcli.errors import DataError
from dlcli.tables.table import Table, more_rows
from dlcli.targets.base import Target, TargetSettings, TargetValues, refuse_missing
from dlcli.targets.task import Task


@final
class NumberTarget(Target):
    """(y - center) / scale inside the network, or (log y - center) / scale.

    Predictions and metrics are in the target's own units. On the logarithmic scale the prediction
    with the least expected loss is a median, as is its exponential (of errors that are symmetric on
    that scale), and the loss is that of log(y).
    """

    kind: Literal["number"] = "number"
    center: float
    scale: float
    is_log: bool = False

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("regression",)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        del task
        scale = settings.target_scale
        refuse_other(statistics, TARGET)
        if scale == "log":
            _refuse_not_positive(statistics)
        numbers = number_statistics(statistics)
        if numbers.is_constant:
            raise DataError(
                f"{statistics.source}: the target '{statistics.name}' is {numbers.least:g} in "
                "every training row; there is nothing to learn"
            )
        name = statistics.name
        if scale == "none":
            return cls(name=name, center=0.0, scale=1.0)
        if scale == "log":
            numbers = log_statistics(statistics)
        return cls(name=name, center=numbers.mean, scale=numbers.deviation, is_log=scale == "log")

    def continued(self, before: Target) -> Self:
        if not isinstance(before, NumberTarget):
            return self
        is_same = (before.name, before.is_log) == (self.name, self.is_log)
        return before if is_same else self

    @property
    def task(self) -> Task:
        return "regression"

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    @property
    def class_counts(self) -> tuple[int, ...]:
        return ()

    @property
    def class_totals(self) -> tuple[float, ...]:
        return ()

    @property
    def unit(self) -> float:
        return self.scale

    @property
    def loss_quantity(self) -> str:
        return f"log({self.name})" if self.is_log else self.name

    @property
    def is_linear(self) -> bool:
        return not self.is_log

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        refuse_missing(rows, self.name, missing_values)
        values = numbers_in(rows, self.name, missing_values, TARGET)
        if self.is_log:
            below = np.flatnonzero(values <= 0)
            if len(below):
                cell, place = rows.column(self.name)[int(below[0])], rows.place(int(below[0]))
                raise _not_positive(self.name, cell, place, len(below))
            values = np.log(values)
        return (values - self.center) / self.scale

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        refuse_other(statistics, TARGET)
        if self.is_log:
            _refuse_not_positive(statistics)

    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        numbers = number_statistics(statistics)
        ends = np.array([numbers.least, numbers.greatest])
        with np.errstate(all="ignore"):  # encoding refuses what has no logarithm
            ends = np.log(ends) if self.is_log else ends
            least, greatest = ((ends - self.center) / self.scale).astype(self.dtype)
        return TargetValues(constant=numbers.least if least == greatest else None)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return self.to_target_units(encoded.astype(np.float64))

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        numbers: np.ndarray = predictions * self.scale + self.center
        if self.is_log:  # a target is never larger
            numbers = np.exp(np.minimum(numbers, np.log(LARGEST)))
        return numbers

    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        numbers = np.log(predictions) if self.is_log else predictions
        scaled: np.ndarray = (numbers - self.center) / self.scale
        return scaled

    def prediction_columns(self, predictions: np.ndarray) -> list[pl.Series]:
        return [pl.Series("prediction", predictions)]

    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return encoded.astype(np.float64), weights

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        del statistics
        if self.is_log:
            yield (
                f"the network learns {self.loss_quantity}, and the loss is that of it; predictions "
                f"of '{self.name}' are medians, not means, and other metrics are in its own units "
                "(data.target_scale)"
            )


def _refuse_not_positive(statistics: ColumnStatistics) -> None:
    """Raise DataError where a number has no logarithm."""
    below = statistics.not_positive
    if below.count:
        raise _not_positive(statistics.name, below.cell, statistics.place(below), below.count)


def _not_positive(name: str, cell: object, place: str, count: int) -> CellError:
    return CellError(
        f"{place}: the target '{name}' is {cell} where only numbers above 0 have a logarithm"
        f"{more_rows(count)}",
        "set data.target_scale: standard, or correct the file",
    )
