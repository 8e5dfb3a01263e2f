"""Classes as a target: binary and multiclass classification, and what ordinal shares with them."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from dlcli.columns.cells import read_cells, to_labels
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.labels import MAX_LABELS, find_labels
from dlcli.errors import DataError
from dlcli.section import NonNegativeFloat
from dlcli.tables.table import Table
from dlcli.targets.base import JudgedValue, Target, TargetSettings, TargetValues, refuse_missing
from dlcli.targets.task import Task

_INTEGER = r"^-?(0|[1-9][0-9]*)$"


class OneOfClasses(Target):
    """Each row is of one class."""

    kind: str = "classes"
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=2)]
    counts: Annotated[tuple[int, ...], Field(strict=False)]  # of each class's training rows
    # Of the same rows; None where each counts once.
    weights: Annotated[tuple[NonNegativeFloat, ...], Field(strict=False)] | None = None
    label_type: Literal["text", "integer", "boolean"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(set(self.classes)) == len(self.classes) == len(self.counts):
            raise ValueError("its classes are not one of each, with their counts")
        if self.weights is not None and len(self.weights) != len(self.classes):
            raise ValueError("its classes are not one of each, with their weights")
        return self

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        about = f"{statistics.source}: the target '{statistics.name}'"
        assert statistics.labels is not None, "the target's labels are gathered"
        if statistics.labels.are_too_many:
            raise DataError(
                f"{about} has more than {MAX_LABELS:,} classes, too many to learn; where it is a "
                "number, set data.task: regression"
            )
        labels = to_labels(statistics.labels.cells)
        found = labels.unique().to_list()
        if len(found) == 1:
            raise DataError(
                f"{about} has one class, {found[0]!r}, in the training rows; at least two are "
                "needed"
            )
        if len(found) == statistics.num_rows:
            raise DataError(
                f"{about} has a different class in every training row; there is nothing to learn"
            )
        classes = cls._ordered(found, about, task, settings)
        of_labels = statistics.labels.weights
        return cls(
            name=statistics.name,
            classes=tuple(classes),
            counts=tuple(map(int, _totals(classes, labels, statistics.labels.counts))),
            weights=None if of_labels is None else tuple(_totals(classes, labels, of_labels)),
            label_type=_label_type(labels),
        )

    @classmethod
    @abstractmethod
    def _ordered(
        cls, classes: list[str], about: str, task: Task, settings: TargetSettings
    ) -> Sequence[str]:
        """Return the classes in their order; DataError, which begins with `about`, without one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classes

    @property
    def class_counts(self) -> tuple[int, ...]:
        return self.counts

    @property
    def class_totals(self) -> tuple[float, ...]:
        return self.counts if self.weights is None else self.weights

    @property
    def unit(self) -> float:
        return 1.0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int64)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        refuse_missing(rows, self.name, missing_values)
        cells = read_cells(rows, self.name, missing_values)
        codes = find_labels(cells, self.classes, first=0).to_numpy()
        unseen = np.flatnonzero(codes < 0)
        if len(unseen):
            first = int(unseen[0])
            raise self._unseen_class(to_labels(cells[first : first + 1]).item(), rows.place(first))
        return codes.astype(np.int64)

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        assert statistics.labels is not None, "the target's labels are gathered"
        if statistics.labels.are_too_many:
            return  # one of them is unseen: encoding finds the first
        cells, numbers = statistics.labels.cells, statistics.labels.numbers
        codes = find_labels(cells, self.classes, first=0)
        unseen = np.flatnonzero(codes.to_numpy() < 0)
        if len(unseen):
            first = int(unseen[0])
            place = statistics.place(CellCount(1, int(numbers[first])))
            raise self._unseen_class(to_labels(cells[first : first + 1]).item(), place)

    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        assert statistics.labels is not None, "the target's labels are gathered"
        found = {*find_labels(statistics.labels.cells, self.classes, first=0)}
        absent = (name for index, name in enumerate(self.classes) if index not in found)
        return TargetValues(absent=tuple(absent))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return encoded

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        true, predicted = int(truth), int(prediction.argmax())
        names = self.classes[true], self.classes[predicted]
        return JudgedValue(*names, float(prediction[predicted]), float(prediction[true]))

    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        labels = pl.Series("prediction", self.classes, dtype=pl.String)
        if self.label_type == "integer":
            numbers = labels.cast(pl.Int64, strict=False)
            labels = labels if numbers.null_count() else numbers  # text where they are too long
        if self.label_type == "boolean":
            labels = labels == "true"
        return [
            labels.gather(predictions.argmax(axis=1)).alias(f"prediction{suffix}"),
            *(
                pl.Series(f"probability{suffix}_{name}", predictions[:, index])
                for index, name in enumerate(self.classes)
            ),
        ]

    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        del encoded, weights  # all were counted
        return np.arange(len(self.classes)), np.array(self.class_totals)

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        assert statistics.labels is not None, "the target's labels are gathered"
        cells = statistics.labels.cells
        written = {*cells} if cells.dtype == pl.String else set()
        if other := sorted(written - set(self.classes)):
            yield (
                f"classes are written {', '.join(self.classes[:5])} in results, where the data "
                f"has {', '.join(map(str, other[:5]))} too"
            )

    def _unseen_class(self, label: str, place: str) -> DataError:
        return DataError(
            f"{place}: the class {label!r} of '{self.name}' is not among the training rows' "
            f"classes: {', '.join(self.classes[:10])}; remove its rows, or have some of them train "
            "(data.split)"
        )


@final
class ClassTarget(OneOfClasses):
    """Classes in sorted order: numbers by size, text by its characters."""

    kind: Literal["classes"] = "classes"

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("binary", "multiclass")

    @classmethod
    def _ordered(
        cls, classes: list[str], about: str, task: Task, settings: TargetSettings
    ) -> Sequence[str]:
        del settings
        ordered = by_size(classes) or sorted(classes)
        if task == "binary" and len(classes) > 2:
            raise DataError(
                f"{about} has {len(classes)} classes ({', '.join(ordered[:5])}, …), and data.task "
                "is binary; set it to multiclass"
            )
        return ordered

    @property
    def task(self) -> Task:
        return "binary" if len(self.classes) == 2 else "multiclass"


def _totals(classes: Sequence[str], labels: pl.Series, amounts: np.ndarray) -> list[float]:
    """Return the sum of the amounts of the labels that are each class."""
    totals = dict.fromkeys(classes, 0.0)
    for label, amount in zip(labels, amounts.tolist(), strict=True):
        totals[label] += amount
    return [*totals.values()]


def _label_type(labels: pl.Series) -> Literal["text", "integer", "boolean"]:
    if labels.is_in(["true", "false"]).all():
        return "boolean"
    return "integer" if labels.str.contains(_INTEGER).all() else "text"


def by_size(labels: list[str]) -> list[str] | None:
    """Return labels that are numbers in their order; None where one is no number."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return None
