"""Several targets of the same rows, side by side; and any target, one or several."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from dlcli.columns.cells import read_cells
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.section import PositiveFloat
from dlcli.tables.table import Table
from dlcli.targets.base import JudgedValue, Target, TargetSettings, TargetValues
from dlcli.targets.family import AnyOneTarget, OneTarget
from dlcli.targets.task import AnyTask, Task


@final
class SeveralTargets(Target):
    """Targets that a network predicts together; a row may lack some of them, but not all.

    Encoded, they are float32 [rows, numbers], target after target, NaN where one is missing.
    """

    has_classes: ClassVar[bool] = False

    kind: Literal["several"] = "several"
    targets: Annotated[tuple[AnyOneTarget, ...], Field(strict=False, min_length=2)]
    # Of each target, the share of the training rows that have it, by their weights.
    shares: Annotated[tuple[PositiveFloat, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.targets) != len(self.shares):
            raise ValueError("its targets don't have a share of the rows each")
        return self

    @classmethod
    def of(cls, targets: Sequence[OneTarget], shares: Sequence[float]) -> Self:
        """Return fitted targets as one, with the share of the training rows that have each."""
        name = ", ".join(target.name for target in targets)
        return cls(name=name, targets=tuple(targets), shares=tuple(shares))

    @classmethod
    def tasks(cls) -> tuple[AnyTask, ...]:
        return ("several",)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        raise NotImplementedError("each of several targets is fitted to statistics of its own")

    def continued(self, before: Target) -> Self:
        known = {target.name: target for target in before.parts}
        targets = tuple(
            target.continued(known[target.name]) if target.name in known else target
            for target in self.targets
        )
        return self.model_copy(update={"targets": targets})

    @classmethod
    def strata(cls, cells: pl.Series, settings: TargetSettings) -> np.ndarray | None:
        del cells, settings
        return None

    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        raise NotImplementedError("each of several targets is judged by itself")

    @property
    def task(self) -> AnyTask:
        return "several"

    @property
    def unit(self) -> float:
        return 1.0

    @property
    def parts(self) -> tuple[Target, ...]:
        return self.targets

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for target in self.targets for column in target.columns)

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(math.prod(target.shape) for target in self.targets),)

    @property
    def prediction_shape(self) -> tuple[int, ...]:
        return (sum(math.prod(target.prediction_shape) for target in self.targets),)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        encoded = []
        for target in self.targets:
            known = have_target(rows, target.columns, missing_values)
            values = np.full((len(rows), *target.shape), np.nan)
            values[known] = target.encode(rows.take(known), missing_values)
            encoded.append(values.reshape(len(rows), -1))
        return np.concatenate(encoded, axis=1)

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        target = next(one for one in self.targets if statistics.name in one.columns)
        if statistics.num_known:
            target.refuse_unfit(statistics)

    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        target = next(one for one in self.targets if statistics.name in one.columns)
        if not statistics.num_known:
            return TargetValues(are_all_missing=True)
        return target.values_in(statistics)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return encoded

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        cut = self._cut(predictions)
        return _side_by_side(target.to_target_units(some) for target, some in cut)

    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        cut = self._cut(predictions)
        return _side_by_side(target.from_target_units(some) for target, some in cut)

    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        return [
            column
            for target, some in self._cut(predictions)
            for column in target.prediction_columns(some, f"{suffix}_{target.name}")
        ]

    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return those of each target, which has rows of its own: the others are NaN in them."""
        blocks, counts, start = [], [], 0
        for target in self.targets:
            width = math.prod(target.shape)
            mine = encoded[:, start : start + width]
            known = ~np.isnan(mine).any(axis=1)
            of_rows = None if weights is None else weights[known]
            shape = (int(known.sum()), *target.shape)
            mine = mine[known].reshape(shape).astype(target.dtype)
            values, each = target.training_values(mine, of_rows)
            block = np.full((len(values), *self.shape), np.nan)
            block[:, start : start + width] = values.reshape(len(values), -1)
            blocks.append(block)
            counts.append(np.ones(len(values)) if each is None else each)
            start += width
        return np.concatenate(blocks), np.concatenate(counts)

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        target = next(one for one in self.targets if statistics.name in one.columns)
        yield from target.notes(statistics)

    def _cut(self, predictions: np.ndarray) -> Iterator[tuple[Target, np.ndarray]]:
        """Yield each target with its predictions, as a network of it alone would give them."""
        start = 0
        for target in self.targets:
            end = start + math.prod(target.prediction_shape)
            some = predictions[:, start:end]
            yield target, some.reshape(len(some), *target.prediction_shape)
            start = end


AnyTarget = Annotated[OneTarget | SeveralTargets, Field(discriminator="kind")]


def have_target(rows: Table, columns: Sequence[str], missing_values: tuple[str, ...]) -> np.ndarray:
    """Return the rows in which no column of a target is missing, as indices."""
    known = np.ones(len(rows), bool)
    for column in columns:
        known &= read_cells(rows, column, missing_values, takes_lists=True).is_not_null().to_numpy()
    return np.flatnonzero(known)


def _side_by_side(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Return arrays [rows] and [rows, numbers] as one, [rows, numbers of all]."""
    return np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
