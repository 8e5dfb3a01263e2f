"""Numbers as a target: regression, and forecasts of the steps to come."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.bad_cells import CellError
from dlcli.columns.cells import LARGEST, TARGET, numbers_in
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.numeric import log_statistics, number_statistics, refuse_other
from dlcli.errors import DataError
from dlcli.section import PositiveInt
from dlcli.tables.table import Table, more_rows
from dlcli.targets.base import JudgedValue, Target, TargetSettings, TargetValues, refuse_missing
from dlcli.targets.task import Task


@final
class NumberTarget(Target):
    """(y - center) / scale inside the network, or (log y - center) / scale.

    Predictions and metrics are in the target's own units. On the logarithmic scale the prediction
    with the least expected loss is a median, as is its exponential (of errors that are symmetric on
    that scale), and the loss is that of log(y).
    """

    has_classes: ClassVar[bool] = False

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
        return self.encode_known(rows, missing_values)

    def encode_known(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        """Return encoded targets, float64 [rows], NaN where one is missing; CellError."""
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

    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        return JudgedValue(float(truth), float(prediction))

    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        return [pl.Series(f"prediction{suffix}", predictions)]

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


@final
class ForecastTarget(Target):
    """One or several numbers of each of `horizon` steps, each number scaled as in a regression.

    A row's values are those of the first number, step by step, then those of the next. Predictions
    are in the targets' own units. Metrics of several targets are of standardised numbers, as their
    units differ.
    """

    has_classes: ClassVar[bool] = False

    kind: Literal["numbers_ahead"] = "numbers_ahead"
    horizon: PositiveInt
    numbers: Annotated[tuple[NumberTarget, ...], Field(strict=False, min_length=1)]

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("forecast",)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        """Fit one number of a single step."""
        del task
        return cls.of([NumberTarget.fit(statistics, "regression", settings)], horizon=1)

    @classmethod
    def of(cls, numbers: Sequence[NumberTarget], *, horizon: int) -> Self:
        """Return the target of several numbers, so many steps ahead."""
        return cls(name=numbers[0].name, horizon=horizon, numbers=tuple(numbers))

    @property
    def step_names(self) -> tuple[str, ...]:
        return tuple(number.name for number in self.numbers)

    @property
    def task(self) -> Task:
        return "forecast"

    @property
    def unit(self) -> float:
        return self.numbers[0].unit if len(self.numbers) == 1 else 1.0

    @property
    def loss_quantity(self) -> str:
        if len(self.numbers) == 1:
            return self.numbers[0].loss_quantity
        return f"standardised {', '.join(self.step_names)}"

    @property
    def is_linear(self) -> bool:
        return all(number.is_linear for number in self.numbers)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.numbers) * self.horizon,)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        """Return the numbers of each step, float64 [rows, numbers], NaN where one is missing."""
        encoded = [number.encode_known(rows, missing_values) for number in self.numbers]
        return np.column_stack(encoded)

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        next(one for one in self.numbers if one.name == statistics.name).refuse_unfit(statistics)

    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        del statistics
        return TargetValues()

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return self.to_target_units(encoded.astype(np.float64))

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return self._each(predictions, NumberTarget.to_target_units)

    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return self._each(predictions, NumberTarget.from_target_units)

    def scored(self, values: np.ndarray) -> np.ndarray:
        """Return all numbers of all steps, one after another."""
        return (values if len(self.numbers) == 1 else self.from_target_units(values)).ravel()

    def by_step(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, len(self.numbers), self.horizon)

    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        del truth, prediction
        raise ValueError("a forecast has several numbers in a row")

    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        """Return a column for each number, its steps one after another: [rows × horizon]."""
        of_numbers = self.by_step(predictions)
        return [
            pl.Series(
                self._column_of("prediction", number.name) + suffix, of_numbers[:, index].ravel()
            )
            for index, number in enumerate(self.numbers)
        ]

    def bound_columns(self, lower: np.ndarray, upper: np.ndarray) -> list[pl.Series]:
        """Return columns of the bounds of predictions, as `prediction_columns` does."""
        return [
            column.alias(column.name.replace("prediction", what, 1))
            for what, bounds in (("lower", lower), ("upper", upper))
            for column in self.prediction_columns(bounds)
        ]

    def _column_of(self, what: str, name: str) -> str:
        """Return the name of a column of predictions, or of their bounds, for a number."""
        return what if len(self.numbers) == 1 else f"{what}_{name}"

    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return encoded.astype(np.float64), weights

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        for number in self.numbers:
            yield from number.notes(statistics)

    def _each(
        self, values: np.ndarray, change: Callable[[NumberTarget, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return values of which those of each number are changed by its scale."""
        by_step = self.by_step(np.asarray(values, np.float64))
        changed = [change(number, by_step[:, i]) for i, number in enumerate(self.numbers)]
        return np.stack(changed, axis=1).reshape(len(by_step), -1)


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
