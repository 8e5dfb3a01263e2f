"""Several classes at once as a target: multilabel classification."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from dlcli.columns.bad_cells import CellError
from dlcli.columns.cells import read_cells
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.labels import MAX_LABELS
from dlcli.errors import DataError
from dlcli.section import NonNegativeFloat, PositiveFloat
from dlcli.tables.table import Table
from dlcli.targets.base import JudgedValue, Target, TargetSettings, TargetValues, refuse_missing
from dlcli.targets.label_sets import (
    LISTS,
    THRESHOLD,
    cells_of,
    labels_in,
    recognise_separator,
)
from dlcli.targets.task import Task


@final
class MultilabelTarget(Target):
    """Labels in sorted order, each of which a row has or has not; encoded as 1 or 0."""

    has_classes: ClassVar[bool] = False
    has_labels: ClassVar[bool] = True
    missing_hint: ClassVar[str] = (
        "; where an empty cell means that a row has no label, take '' out of data.missing_values, "
        "or write [] in it"
    )

    kind: Literal["label_sets"] = "label_sets"
    labels: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    totals: Annotated[tuple[NonNegativeFloat, ...], Field(strict=False)]  # rows, or their weight
    total: PositiveFloat  # of all training rows
    separator: str  # between the labels of a cell, or LISTS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(set(self.labels)) == len(self.labels) == len(self.totals):
            raise ValueError("its labels are not one of each, with their totals")
        return self

    @classmethod
    def tasks(cls) -> tuple[Task, ...]:
        return ("multilabel",)

    @classmethod
    def fit(cls, statistics: ColumnStatistics, task: Task, settings: TargetSettings) -> Self:
        del task
        about = f"{statistics.source}: the target '{statistics.name}'"
        found = statistics.labels
        assert found is not None, "the target's labels are gathered"
        if found.are_too_many:
            raise DataError(
                f"{about} has more than {MAX_LABELS:,} different sets of labels, too many to learn"
            )
        cells: list[str] = found.cells.cast(pl.String).to_list()
        separator = settings.label_separator
        if separator == "auto":
            recognised = recognise_separator(cells)
            if recognised is None:
                raise DataError(
                    f"{about} has one label in each cell, such as {cells[0]!r}: where labels are "
                    "separated by other than ';', '|' or ',', set data.label_separator; otherwise "
                    "set data.task: multiclass"
                )
            separator = recognised
        amounts = found.counts if found.weights is None else found.weights
        totals: dict[str, float] = {}
        for cell, number, amount in zip(cells, found.numbers, amounts.tolist(), strict=True):
            labels = labels_in(cell, separator)
            if labels is None:
                raise _no_list(cell, statistics.name, statistics.place(CellCount(1, int(number))))
            for label in labels:
                totals[label] = totals.get(label, 0.0) + amount
        if not totals:
            raise DataError(f"{about} has no label in any training row; there is nothing to learn")
        if len(cells) == 1:
            raise DataError(
                f"{about} is {cells[0]} in every training row; there is nothing to learn"
            )
        return cls(
            name=statistics.name,
            labels=tuple(sorted(totals)),
            totals=tuple(totals[label] for label in sorted(totals)),
            total=float(amounts.sum()),
            separator=separator,
        )

    @classmethod
    def strata(cls, cells: pl.Series, settings: TargetSettings) -> np.ndarray | None:
        """Return the rarest label of each row: what is rare is what a part may lack.

        The first step of iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011).
        """
        texts = cells.cast(pl.String).to_list()
        separator = settings.label_separator
        if separator == "auto":
            separator = recognise_separator({*texts}) or LISTS
        sets = {text: labels_in(text, separator) or frozenset() for text in {*texts}}
        counts = Counter(label for text in texts for label in sets[text])
        rarest = {
            text: min(labels, key=lambda label: (counts[label], label), default="")
            for text, labels in sets.items()
        }
        codes = {label: code for code, label in enumerate(sorted({*rarest.values()}))}
        return np.array([codes[rarest[text]] for text in texts], np.int64)

    @property
    def task(self) -> Task:
        return "multilabel"

    @property
    def score_names(self) -> tuple[str, ...]:
        return self.labels

    @property
    def score_totals(self) -> tuple[float, ...]:
        return self.totals

    @property
    def total_weight(self) -> float:
        return self.total

    @property
    def unit(self) -> float:
        return 1.0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.labels),)

    def encode(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        refuse_missing(rows, self.name, missing_values, hint=self.missing_hint)
        cells = read_cells(rows, self.name, missing_values, takes_lists=True).cast(pl.String)
        different = cells.unique(maintain_order=True)
        sets = np.zeros((len(different), len(self.labels)), self.dtype)
        for index, cell in enumerate(different):
            fault = self._fault(cell, sets[index])
            if fault is not None:
                raise self._refused(cell, fault, rows.place(int((cells == cell).arg_max() or 0)))
        codes = cells.replace_strict(different, pl.arange(len(different), eager=True))
        found: np.ndarray = sets[codes.to_numpy()]
        return found

    def refuse_unfit(self, statistics: ColumnStatistics) -> None:
        assert statistics.labels is not None, "the target's labels are gathered"
        if statistics.labels.are_too_many:
            return  # encoding finds what doesn't fit
        row = np.zeros(len(self.labels), self.dtype)
        cells = statistics.labels.cells.cast(pl.String)
        for cell, number in zip(cells, statistics.labels.numbers, strict=True):
            fault = self._fault(cell, row)
            if fault is not None:
                raise self._refused(cell, fault, statistics.place(CellCount(1, int(number))))

    def _fault(self, cell: str, row: np.ndarray) -> str | None:
        """Set a cell's labels to 1; return one that is unknown, "" where it is no list."""
        labels = labels_in(cell, self.separator)
        if labels is None:
            return ""
        unknown = sorted(labels.difference(self.labels))
        if unknown:
            return unknown[0]
        row[[self.labels.index(label) for label in labels]] = 1
        return None

    def _refused(self, cell: str, label: str, place: str) -> DataError:
        if not label:
            return _no_list(cell, self.name, place)
        return DataError(
            f"{place}: the label {label!r} of '{self.name}' is not among the training rows' "
            f"labels: {', '.join(self.labels[:10])}; take it out, or have some of its rows train "
            "(data.split)"
        )

    def values_in(self, statistics: ColumnStatistics) -> TargetValues:
        assert statistics.labels is not None, "the target's labels are gathered"
        if statistics.labels.are_too_many:
            return TargetValues()
        sets = [labels_in(cell, self.separator) for cell in statistics.labels.cells.cast(pl.String)]
        found = [{label for label in self.labels if label in (labels or ())} for labels in sets]
        absent = (label for label in self.labels if not any(label in labels for labels in found))
        everywhere = (label for label in self.labels if all(label in labels for labels in found))
        return TargetValues(absent=tuple(absent), everywhere=tuple(everywhere))

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        return encoded

    def to_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def from_target_units(self, predictions: np.ndarray) -> np.ndarray:
        return predictions

    def judge(self, truth: np.ndarray, prediction: np.ndarray) -> JudgedValue:
        true, predicted = (", ".join(self._set(row)) for row in (truth, prediction))
        return JudgedValue(true or "no label", predicted or "no label")

    def prediction_columns(self, predictions: np.ndarray, suffix: str = "") -> list[pl.Series]:
        return [
            cells_of(map(self._set, predictions), self.separator).alias(f"prediction{suffix}"),
            *(
                pl.Series(f"probability{suffix}_{name}", predictions[:, index])
                for index, name in enumerate(self.labels)
            ),
        ]

    def _set(self, row: np.ndarray) -> list[str]:
        """Return the labels that a row of truth or of probabilities [labels] has."""
        return [self.labels[index] for index in np.flatnonzero(row > THRESHOLD)]

    def training_values(
        self, encoded: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return encoded, weights

    def notes(self, statistics: ColumnStatistics) -> Iterator[str]:
        del statistics
        if self.separator != LISTS:
            yield (
                f"the labels of '{self.name}' are separated by '{self.separator}': "
                f"{', '.join(self.labels[:5])}{', …' if len(self.labels) > 5 else ''} "
                "(data.label_separator)"
            )


def _no_list(cell: str, name: str, place: str) -> CellError:
    return CellError(
        f"{place}: '{name}' has {cell!r} where a list of labels is expected",
        "correct it; where labels are separated text, set data.label_separator",
    )
