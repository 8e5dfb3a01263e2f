"""What is fitted to the target column on the training rows, and the way back to its own units."""

from typing import Annotated, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from dlcli.columns.cells import (
    numbers_in,
    parse_booleans,
    parse_integers,
    parse_numbers,
    read_cells,
    to_labels,
)
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.family import column_statistics, statistics_of_cells
from dlcli.columns.labels import MAX_LABELS
from dlcli.columns.numeric import are_numbers, number_statistics, refuse_mixed, refuse_other
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.training import Metric
from dlcli.errors import DataError
from dlcli.section import Section
from dlcli.tables.table import Table
from dlcli.targets.task import Task

TARGET = "target"  # the field that a target is encoded to

_MAX_NUMBERED_CLASSES = 20
_MIN_ROWS = 3  # for each of them, on average


class ClassTarget(Section):
    """Classes in sorted order: numbers by size, text by its characters."""

    kind: Literal["classes"] = "classes"
    name: str
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=2)]
    counts: Annotated[tuple[int, ...], Field(strict=False)]  # of each class's training rows
    label_type: Literal["text", "integer", "boolean"]

    @property
    def field(self) -> str:
        """The field that it is encoded to."""
        return TARGET

    @property
    def dtype(self) -> np.dtype:
        """What it is encoded as: the index of the class."""
        return np.dtype(np.int64)

    @property
    def task(self) -> Task:
        """The task that it is the target of."""
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The number of training rows of each class."""
        return self.counts

    @property
    def unit(self) -> float:
        """What 1 inside the network is outside of it."""
        return 1.0

    def training_values(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return all training rows' encoded targets, [values], and how often each occurs.

        `encoded` are those of the rows at hand, which may be some of them only.
        """
        del encoded  # all were counted
        return np.arange(len(self.classes)), np.array(self.counts)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(set(self.classes)) == len(self.classes) == len(self.counts):
            raise ValueError("its classes are not one of each, with their counts")
        return self


class NumberTarget(Section):
    """(y - center) / scale inside the network; results are in the target's own units."""

    kind: Literal["number"] = "number"
    name: str
    center: float
    scale: float

    @property
    def field(self) -> str:
        """The field that it is encoded to."""
        return TARGET

    @property
    def dtype(self) -> np.dtype:
        """What it is encoded as: the scaled number."""
        return np.dtype(np.float32)

    @property
    def task(self) -> Task:
        """The task that it is the target of."""
        return "regression"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes: none."""
        return ()

    @property
    def class_counts(self) -> tuple[int, ...]:
        """The number of training rows of each class: of none."""
        return ()

    @property
    def unit(self) -> float:
        """What 1 inside the network is outside of it, in the target's own units."""
        return self.scale

    def training_values(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the training rows' encoded targets, [values], and how often each occurs."""
        return encoded.astype(np.float64), None


FittedTarget = Annotated[ClassTarget | NumberTarget, Field(discriminator="kind")]

CLASS_METRICS: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
NUMBER_METRICS: tuple[Metric, ...] = ("rmse", "mae", "r2")


def metrics_of(target: FittedTarget) -> tuple[Metric, ...]:
    """Return the figures, beside the loss, that a target has; the first one is the headline."""
    return NUMBER_METRICS if isinstance(target, NumberTarget) else CLASS_METRICS


def figures_of(target: FittedTarget) -> tuple[Metric, ...]:
    """Return the names of all the numbers that say how good answers for a target are."""
    return ("loss", *metrics_of(target))


def infer_task(cells: pl.Series) -> tuple[Task, str]:
    """Tell the task from the target's cells, with the reason."""
    return infer_task_from(statistics_of_cells(cells, wants_labels=True))


def infer_task_from(facts: ColumnStatistics) -> tuple[Task, str]:
    """Tell the task from the target's facts, with the reason."""
    known, labels = facts.num_known, facts.labels
    assert labels is not None, "the target's labels are gathered"
    many = labels.are_too_many
    distinct = f"more than {MAX_LABELS:,}" if many else str(len(labels.cells))
    if known and are_numbers(facts):
        numbers = None if many else parse_numbers(labels.cells)
        if numbers is None or len(numbers) > _MAX_NUMBERED_CLASSES:
            return "regression", f"{distinct} different numbers"
        if not (numbers == numbers.floor()).all():
            return "regression", f"{distinct} different numbers"
        if len(numbers) > 2 and known < _MIN_ROWS * len(numbers):
            return "regression", f"{distinct} different numbers in {known} rows"
        reason = f"whole numbers with {distinct} different values"
    else:
        reason = f"{distinct} different labels"
    is_binary = not many and len(labels.cells) <= 2
    return ("binary" if is_binary else "multiclass"), reason


def refuse_mixed_target(table: Table, name: str, missing_values: tuple[str, ...]) -> None:
    """Raise DataError where a target is mostly numbers: neither classes nor a regression."""
    refuse_mixed(column_statistics(table, name, missing_values), is_target=True)


def fit_target(rows: Table, task: Task, config: DataConfig) -> FittedTarget:
    """Fit to the training rows; DataError where they can't be learned from."""
    facts = column_statistics(rows, config.target, config.missing_values, wants_labels=True)
    return fit_target_to_facts(facts, task, config)


def fit_target_to_facts(facts: ColumnStatistics, task: Task, config: DataConfig) -> FittedTarget:
    """Fit to what the training rows have shown; DataError where they can't be learned from."""
    name = config.target
    if task == "regression":
        refuse_other(facts, is_target=True)
        numbers = number_statistics(facts)
        if numbers.is_constant:
            raise DataError(
                f"{facts.source}: the target '{name}' is {numbers.least:g} in every training "
                "row; there is nothing to learn"
            )
        scaled = config.target_scale == "standard"
        return NumberTarget(
            name=name,
            center=numbers.mean if scaled else 0.0,
            scale=numbers.deviation if scaled else 1.0,
        )
    assert facts.labels is not None, "the target's labels are gathered"
    if facts.labels.are_too_many:
        raise DataError(
            f"{facts.source}: the target '{name}' has more than {MAX_LABELS:,} classes, too many "
            "to learn; where it is a number, set data.task: regression"
        )
    label_type = _label_type(facts.labels.cells)
    labels = _labels(facts.labels.cells, label_type)
    classes = _sorted(labels.unique().to_list())
    if len(classes) == 1:
        raise DataError(
            f"{facts.source}: the target '{name}' has one class, {classes[0]!r}, in the training "
            "rows; at least two are needed"
        )
    if task == "binary" and len(classes) > 2:
        raise DataError(
            f"{facts.source}: the target '{name}' has {len(classes)} classes "
            f"({', '.join(classes[:5])}, …), and data.task is binary; set it to multiclass"
        )
    if len(classes) == facts.num_rows:
        raise DataError(
            f"{facts.source}: the target '{name}' has a different class in every training row; "
            "there is nothing to learn"
        )
    counts = dict.fromkeys(classes, 0)
    for label, count in zip(labels, facts.labels.counts, strict=True):
        counts[label] += int(count)
    return ClassTarget(
        name=name, classes=tuple(classes), counts=tuple(counts.values()), label_type=label_type
    )


def refuse_unfit(target: FittedTarget, facts: ColumnStatistics) -> None:
    """Raise DataError where `encode_target` would, for the rows that the facts are of."""
    if isinstance(target, NumberTarget):
        refuse_other(facts, is_target=True)
        return
    assert facts.labels is not None, "the target's labels are gathered"
    if facts.labels.are_too_many:
        return  # one of them is unseen: encoding finds the first
    labels = _labels(facts.labels.cells, target.label_type)
    known = set(target.classes)
    for label, number in zip(labels, facts.labels.numbers, strict=True):
        if label not in known:
            raise _unseen_class(target, label, facts.place(CellCount(1, int(number))))


def encode_target(target: FittedTarget, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
    """Return class indices, int64 [rows], or scaled numbers, float64 [rows].

    Raises DataError for a missing value and for a class that the training rows don't have.
    """
    refuse_missing(rows, target.name, missing_values)
    if isinstance(target, NumberTarget):
        values = numbers_in(rows, target.name, missing_values, is_target=True)
        return (values - target.center) / target.scale
    labels = _labels(read_cells(rows, target.name, missing_values), target.label_type)
    index = {label: number for number, label in enumerate(target.classes)}
    codes = labels.replace_strict(index, default=-1, return_dtype=pl.Int64).to_numpy()
    unseen = np.flatnonzero(codes < 0)
    if len(unseen):
        first = int(unseen[0])
        raise _unseen_class(target, labels[first], rows.place(first))
    return codes


def _unseen_class(target: ClassTarget, label: str, place: str) -> DataError:
    return DataError(
        f"{place}: the class {label!r} of '{target.name}' is not among the training rows' classes: "
        f"{', '.join(target.classes[:10])}"
    )


def refuse_missing(rows: Table, name: str, missing_values: tuple[str, ...]) -> None:
    """Raise DataError where a target value is missing."""
    gaps = read_cells(rows, name, missing_values).is_null().arg_true()
    if len(gaps):
        raise missing_target(name, rows.place(gaps[0]), len(gaps), len(rows))


def missing_target(name: str, place: str, num_missing: int, num_rows: int) -> DataError:
    """Return the error for a target that is missing, first at a place."""
    return DataError(
        f"{place}: the target '{name}' is missing here and in {num_missing} of {num_rows} rows in "
        "all; set data.drop_missing_target: true to leave them out"
    )


def present(rows: Table, name: str, missing_values: tuple[str, ...]) -> np.ndarray:
    """Return the rows whose target is there, as indices."""
    return read_cells(rows, name, missing_values).is_not_null().arg_true().to_numpy()


def class_labels(cells: pl.Series) -> pl.Series:
    """Return each row's class as text, one class written in one way: 1 and 1.0, True and true."""
    return _labels(cells, _label_type(cells))


def _label_type(cells: pl.Series) -> Literal["text", "integer", "boolean"]:
    if parse_booleans(cells).null_count() == cells.null_count():
        return "boolean"
    return "integer" if parse_integers(cells).null_count() == cells.null_count() else "text"


def _labels(cells: pl.Series, label_type: str) -> pl.Series:
    if label_type == "boolean":
        known = parse_booleans(cells)
        return to_labels(known).zip_with(known.is_not_null(), to_labels(cells))
    if label_type == "integer":
        integers = parse_integers(cells)
        return integers.zip_with(integers.is_not_null(), to_labels(cells))
    return to_labels(cells)


def _sorted(labels: list[str]) -> list[str]:
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
