"""The interface of all fitted targets."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import CellError
from dlcli.columns.cells import read_cells, to_labels
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.section import Section
from dlcli.tables.names import ColumnName
from dlcli.tables.table import Table
from dlcli.targets.task import AnyTask, Task

TargetScale = Literal["standard", "log", "none"]


@dataclass(frozen=True)
class TargetValues:
    """What some rows lack of a target's values, so that not every metric has a value on them."""

    absent: tuple[str, ...] = ()  # classes of no row
    everywhere: tuple[str, ...] = ()  # labels of all rows
    constant: float | None = None  # the number that is the target of all rows
    # Of several targets, those of each by its name, on the rows that have it.
    of_targets: Mapping[str, "TargetValues"] = field(default_factory=dict)
    are_all_missing: bool = False  # whether no row has it, as one of several targets


class JudgedValue(NamedTuple):
    """What is true of a row, and what is predicted."""

    truth: str | float
    prediction: str | float
    probability: float | None = None  # of the predicted class; None where there is no single one
    true_probability: float | None = None  # of the true class


class TargetSettings(Protocol):
    """What a config says of its target."""

    @property
    def target_scale(self) -> TargetScale:
        """The scale of numbers inside the network."""

    @property
    def order(self) -> tuple[str, ...] | None:
        """The order of classes, from the lowest to the highest."""

    @property
    def label_separator(self) -> str:
        """What stands between the labels of a cell; `auto`: recognised; `list`: cells are lists."""


class Target(Section, ABC):
    """What is fitted to the target column on the training rows; plain data in the checkpoint.

    Encoded targets are what the network learns from, [rows, *shape]. Predictions are probabilities
    [rows, classes] or numbers of the shape of encoded targets; of several targets, all of those
    side by side.
    """

    has_classes: ClassVar[bool] = True  # whether each row is of one class
    has_labels: ClassVar[bool] = False  # whether a row may have several labels at once
    has_order: ClassVar[bool] = False  # whether classes have an order
    missing_hint: ClassVar[str] = ""  # what else a missing cell may mean, as the end of a sentence

    kind: str
    name: ColumnName

    @classmethod
    @abstractmethod
    def tasks(cls) -> tuple[AnyTask, ...]:
        """Return the tasks that it can be the target of."""

    @classmethod
    @abstractmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        """Fit to the training rows' statistics; DataError where they can't be learned from."""

    @classmethod
    def strata(cls, cells: pl.Series, settings: TargetSettings) -> np.ndarray | None:
        """Return a number for each row, int64 [rows], by which parts get their shares of all rows.

        Cells are null where missing. None for numbers, of which all rows are alike.
        """
        del settings
        if not cls.has_classes:
            return None
        return to_labels(cells).rank("dense").to_numpy().astype(np.int64)

    def continued(self, before: "Target") -> Self:
        """Return it as training goes on with it: a number with the scale that was fitted before."""
        del before
        return self

    @property
    @abstractmethod
    def task(self) -> AnyTask:
        """The task that it is the target of."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes; none for numbers."""
        return ()

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The training rows of each class; none for numbers."""
        return ()

    @property
    def class_totals(self) -> tuple[float, ...]:
        """The weight of the training rows of each class, or their number where they have none."""
        return ()

    @property
    def score_names(self) -> tuple[str, ...]:
        """What predictions [rows, scores] are the probabilities of; none for numbers."""
        return self.class_names

    @property
    def score_totals(self) -> tuple[float, ...]:
        """The weight of the training rows that have each, or their number."""
        return self.class_totals

    @property
    def total_weight(self) -> float:
        """The weight of all training rows, or their number; 0 where it is not known."""
        return sum(self.class_totals)

    @property
    @abstractmethod
    def unit(self) -> float:
        """What 1 inside the network is in the units of `loss_quantity`."""

    @property
    def loss_quantity(self) -> str:
        """What losses measure errors of, in words: the target, or a function of it."""
        return self.name

    @property
    def is_linear(self) -> bool:
        """Whether numbers inside the network, times `unit`, are those of the target but for one."""
        return True

    @property
    def parts(self) -> "tuple[Target, ...]":
        """The targets that it is made of: itself, or several."""
        return (self,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is read from."""
        return (self.name,)

    @property
    def prediction_shape(self) -> tuple[int, ...]:
        """The shape of a row's prediction: a probability for each class, or a number."""
        return (len(self.score_names),) if self.score_names else self.shape

    @property
    def field(self) -> str:
        """The field that it is encoded to."""
        return "target"

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """The type of encoded targets."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row's encoded target: (), or (values,) of several numbers or labels."""
        return ()

    @property
    def step_names(self) -> tuple[str, ...]:
        """The columns that are forecast step by step; none of other targets."""
        return ()

    def by_step(self, values: np.ndarray) -> np.ndarray:
        """Return a forecast's values [rows, values] as [rows, columns, horizon]."""
        del values
        raise ValueError("it is no forecast")

    def scored(self, values: np.ndarray) -> np.ndarray:
        """Return what metrics compare of predictions, or of the truth: one value for each row."""
        return values

    @abstractmethod
    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        """Return encoded targets, [rows, *shape]; numbers in float64.

        Raises DataError for a missing value and for one that does not fit the training rows.
        """

    @abstractmethod
    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        """Raise DataError where `encode` would, for the rows that the statistics are of."""

    @abstractmethod
    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        """Return what the rows that the statistics are of lack; `encode` takes all of them."""

    @abstractmethod
    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """Return class indices, int64, or numbers in the target's own units, float64, [rows]."""

    @abstractmethod
    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        """Return a loss's predictions with numbers in the target's own units."""

    @abstractmethod
    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        """Return what `to_target_units` makes these of: its inverse."""

    @abstractmethod
    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        """Return what is true and what is predicted of a row, of its part of each."""

    @abstractmethod
    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        """Return the columns that `predict` writes, the first one named `prediction`.

        `suffix` is that of names where there are several targets: `prediction_NAME`.
        """

    def bound_columns(self, lower: np.ndarray, upper: np.ndarray) -> list[pl.Series]:
        """Return the columns that `predict` writes of the bounds of predictions."""
        del lower, upper
        raise ValueError("its predictions have no bounds")

    @abstractmethod
    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the training rows' encoded targets, [values], and how much each counts.

        `encoded` and `weights` are those of the training rows at hand, [rows]; without weights,
        each row counts once. Classes are known of all training rows.
        """

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        """Yield what is different in results from the training rows' cells."""
        del statistics
        yield from ()


def refuse_missing(
    rows: Table, name: str, missing_values: tuple[str, ...], *, hint: str = ""
) -> None:
    """Raise CellError where a target value is missing; a hint says what else it may mean."""
    gaps = read_cells(rows, name, missing_values, takes_lists=True).is_null().arg_true()
    if len(gaps):
        place = rows.place(gaps[0])
        raise missing_target([name], place, len(gaps), len(rows), missing_values, hint=hint)


def name_targets(names: Sequence[str]) -> str:
    """Say of which target, or of which targets together, something is the case."""
    if len(names) == 1:
        return f"the target '{names[0]}' is"
    return f"the targets {' and '.join(map(repr, names))} are all"


def missing_target(
    names: Sequence[str],
    place: str,
    num_missing: int,
    num_rows: int,
    missing_values: tuple[str, ...],
    *,
    hint: str = "",
) -> CellError:
    """Return the error for a row without any of some targets, the first one at a place."""
    word = next(filter(None, missing_values), None)
    other = f"; if a word such as {word} is a class, take it out of data.missing_values"
    return CellError(
        f"{place}: {name_targets(names)} missing here and in {num_missing} of {num_rows} rows in "
        "all",
        "set data.drop_missing_target: true to leave them out" + (other if word else "") + hint,
        new_file="fill it in, or remove the rows without it from the file",
    )


def present(rows: Table, names: Sequence[str], missing_values: tuple[str, ...]) -> np.ndarray:
    """Return the rows that have one at least of some targets, as indices."""
    is_known = [
        read_cells(rows, name, missing_values, takes_lists=True).is_not_null() for name in names
    ]
    return reduce(or_, is_known).arg_true().to_numpy()
