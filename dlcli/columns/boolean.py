"""Columns of true and false."""

from typing import ClassVar, Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.base import Axis, EncodingSettings, Inference, OrderedColumn
from dlcli.columns.cells import parse_booleans, read_cells, to_labels
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.tables.table import Table


@final
class BooleanColumn(OrderedColumn):
    """0 or 1; a missing value is `fill`, and `indicator` adds a column for that."""

    axis: ClassVar[Axis] = "category"
    is_scalar: ClassVar[bool] = True
    expected: ClassVar[str] = "true or false"

    kind: Literal["boolean"] = "boolean"

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return Boolean, null where a cell is neither true nor false."""
        return parse_booleans(cells)

    @classmethod
    def parse_as(cls, cells: pl.Series) -> pl.Series:
        """Return Boolean: in a boolean column, 1 is true and 0 is false."""
        return parse_booleans(cells, accepts_digits=True)

    @classmethod
    def to_numbers(cls, parsed: pl.Series) -> np.ndarray:
        """Return 0 and 1 as float64 [rows], NaN where null."""
        return parsed.cast(pl.Float64).to_numpy()

    @classmethod
    def derive(cls, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the ones, to be counted."""
        return {"true": np.where(numbers == 1, numbers, np.nan)}

    def to_cells(self, numbers: np.ndarray) -> pl.Series:
        """Return cells that hold some numbers, [rows]."""
        return pl.Series(numbers == 1)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take cells that are all true or false."""
        if statistics.cells_of(cls.kind_name()).count < statistics.num_known:
            return None
        return Inference(cls, "true and false")

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Two values name nothing."""
        del cells
        return None

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit what there is more of."""
        del settings
        num_known = statistics.numbers_of(cls.kind_name()).count
        return cls(
            name=statistics.name,
            fill=float(0 < num_known <= 2 * _num_true(statistics)),
            indicator=statistics.missing.count > 0,
        )

    def scaled(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return 0 and 1 as they are."""
        return [numbers]

    @property
    def num_slots(self) -> int:
        """The number, and the indicator."""
        return 1 + self.indicator

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether all rows are true, all are false or all are missing."""
        known = statistics.numbers_of(self.kind)
        both = known.count > 0 and not known.is_constant
        return both + (known.count > 0) + (statistics.missing.count > 0) == 1

    def labels(self, rows: Table, missing_values: tuple[str, ...]) -> pl.Series:
        """Return the cells as text, null where missing."""
        return to_labels(self.parse_as(read_cells(rows, self.name, missing_values)))

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        return "0 or 1" + self._and_missing

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        return "0 or 1"


def _num_true(statistics: ColumnStatistics) -> float:
    derived = statistics.derived_of(BooleanColumn.kind_name())
    return derived["true"].count if derived else 0
