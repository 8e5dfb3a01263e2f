"""Numbers as a target: regression."""

from typing import Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.cells import numbers_in
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.numeric import number_statistics, refuse_other
from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.targets.base import Target, refuse_missing
from dlcli.targets.task import Task


@final
class NumberTarget(Target):
    """(y - center) / scale inside the network; results are in the target's own units."""

    kind: Literal["number"] = "number"
    center: float
    scale: float

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("regression",)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, *, is_scaled: bool) -> Self:
        del task
        refuse_other(statistics, is_target=True)
        numbers = number_statistics(statistics)
        if numbers.is_constant:
            raise DataError(
                f"{statistics.source}: the target '{statistics.name}' is {numbers.least:g} in "
                "every training row; there is nothing to learn"
            )
        center, scale = (numbers.mean, numbers.deviation) if is_scaled else (0.0, 1.0)
        return cls(name=statistics.name, center=center, scale=scale)

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
    def unit(self) -> float:
        return self.scale

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        refuse_missing(rows, self.name, missing_values)
        values = numbers_in(rows, self.name, missing_values, is_target=True)
        return (values - self.center) / self.scale

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        refuse_other(statistics, is_target=True)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return self.to_target_units(encoded.astype(np.float64))

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        numbers: np.ndarray = predictions * self.scale + self.center
        return numbers

    def prediction_columns(self, predictions: np.ndarray) -> list[pl.Series]:
        return [pl.Series("prediction", predictions)]

    def training_values(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return encoded.astype(np.float64), None
