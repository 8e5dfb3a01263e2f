"""What a column's cells are, counted block by block: all that is fitted follows from it."""

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Literal

import numpy as np
import polars as pl

from dlcli.columns.cells import (
    LARGEST,
    has_encoding,
    parse_booleans,
    parse_datetimes,
    parse_numbers,
    read_cells,
    to_seconds,
)
from dlcli.columns.labels import Labels
from dlcli.columns.running_statistics import RunningStatistics
from dlcli.config.sections.data import ColumnKind
from dlcli.tables.table import Table

Cycle = Literal["year", "week", "day"]
CYCLE_SECONDS: dict[Cycle, float] = {"year": 365.2425 * 86400, "week": 7 * 86400, "day": 86400}

# 1,5 and 1,000.5 and 1 000 and 12 % and $3.50: meant as numbers, with an ambiguous comma or a unit.
_NUMBER_WRITTEN_OTHERWISE = (
    r"^[$€£]?\s?[-+]?([0-9]+|[0-9]{1,3}([ ,.'][0-9]{3})+)([.,][0-9]+)?\s?[%€$£]?$"
)


@dataclass(frozen=True)
class CellCount:
    """How many cells of one sort there are, and the first of them."""

    count: int = 0
    number: int = 0  # of its row in the file
    cell: object = None

    def __add__(self, other: "CellCount") -> "CellCount":
        if not (self.count and other.count):
            return self if self.count else other
        first = self if self.number < other.number else other
        return replace(first, count=self.count + other.count)


@dataclass(frozen=True)
class ColumnStatistics:
    """A column of some rows. Each cell is one of missing, number, boolean, moment or other."""

    name: str
    source: str
    unit: str  # of row numbers: "line" or "row"
    dtype: pl.DataType
    num_rows: int
    missing: CellCount
    numbers: CellCount
    booleans: CellCount
    moments: CellCount
    others: CellCount
    num_true: int  # of the booleans
    num_written_otherwise: int  # others that are meant as numbers
    endless: CellCount  # numbers that float32 has no room for
    spread: RunningStatistics  # of the numbers as they are and the moments in seconds
    cycles: dict[Cycle, RunningStatistics]  # of the moments' seconds since each cycle began
    sample: np.ndarray  # float64 [sampled rows]: numbers and seconds, NaN elsewhere
    labels: Labels | None  # None: they were not gathered

    @property
    def num_known(self) -> int:
        """The cells that are not missing."""
        return self.num_rows - self.missing.count

    @property
    def is_text(self) -> bool:
        """Whether cells are text that something was parsed from."""
        return self.dtype == pl.String

    def other_than(self, sort: Literal["numbers", "booleans", "moments"]) -> CellCount:
        """Return the cells that are there and not of a sort."""
        sorts = ("numbers", "booleans", "moments", "others")
        found: CellCount = reduce(add, (getattr(self, other) for other in sorts if other != sort))
        return found

    def place(self, seen: CellCount) -> str:
        """Say where the first of some cells stands."""
        return f"{self.source}, {self.unit} {seen.number}"

    def __add__(self, later: "ColumnStatistics") -> "ColumnStatistics":
        """Return the facts of both; the sample, which only their reader can draw, is `later`'s."""
        cycles = {
            cycle: self.cycles.get(cycle, RunningStatistics())
            + later.cycles.get(cycle, RunningStatistics())
            for cycle in {**self.cycles, **later.cycles}
        }
        labels = None
        if self.labels is not None and later.labels is not None:
            labels = self.labels + later.labels
        return replace(
            later,
            num_rows=self.num_rows + later.num_rows,
            missing=self.missing + later.missing,
            numbers=self.numbers + later.numbers,
            booleans=self.booleans + later.booleans,
            moments=self.moments + later.moments,
            others=self.others + later.others,
            num_true=self.num_true + later.num_true,
            num_written_otherwise=self.num_written_otherwise + later.num_written_otherwise,
            endless=self.endless + later.endless,
            spread=self.spread + later.spread,
            cycles=cycles,
            labels=labels,
        )


def look(
    table: Table,
    name: str,
    missing_values: tuple[str, ...],
    *,
    kind: ColumnKind | None = None,
    is_target: bool = False,
) -> ColumnStatistics:
    """Return a column's facts, all rows its sample; DataError where there is no such column.

    Labels are gathered for the target, for a column that is said to be categorical, and for text
    that is not all numbers, all truths or all moments: it can be that only.
    """
    cells = table.column(name)
    if kind is not None or is_target or has_encoding(cells.dtype):
        cells = read_cells(table, name, missing_values)
    return look_at(
        cells,
        table.numbers,
        source=table.source,
        unit=table.unit,
        wants_labels=is_target or kind == "categorical",
    )


def look_at(
    cells: pl.Series,
    numbers: np.ndarray,
    *,
    source: str = "",
    unit: str = "row",
    wants_labels: bool = False,
) -> ColumnStatistics:
    """Return the facts of cells that are null where missing, in rows numbered [rows]."""
    sorts = _sort(cells) if has_encoding(cells.dtype) else _Sorts.none(cells)
    labels = None
    if wants_labels or not sorts.num_known or (cells.dtype == pl.String and not sorts.is_one):
        labels = Labels.of(cells, numbers)

    def seen(mask: pl.Series | None) -> CellCount:
        count = 0 if mask is None else int(mask.sum())
        if mask is None or not count:
            return CellCount()
        first = int(mask.arg_max() or 0)
        return CellCount(count, int(numbers[first]), cells[first])

    endless = np.flatnonzero(np.abs(sorts.values) > LARGEST)
    return ColumnStatistics(
        name=cells.name,
        source=source,
        unit=unit,
        dtype=cells.dtype,
        num_rows=len(cells),
        missing=seen(cells.is_null() if cells.null_count() else None),
        numbers=seen(sorts.numbers),
        booleans=seen(sorts.booleans),
        moments=seen(sorts.moments),
        others=seen(sorts.others),
        num_true=sorts.num_true,
        num_written_otherwise=sorts.num_written_otherwise,
        endless=CellCount(len(endless), int(numbers[endless[0]]), cells[int(endless[0])])
        if len(endless)
        else CellCount(),
        spread=RunningStatistics.of(sorts.known),
        cycles=sorts.cycles,
        sample=sorts.values,
        labels=labels,
    )


@dataclass(frozen=True)
class _Sorts:
    """Which cells are of which sort; None where none is."""

    numbers: pl.Series | None
    booleans: pl.Series | None
    moments: pl.Series | None
    others: pl.Series | None
    num_true: int
    num_written_otherwise: int
    values: np.ndarray
    num_known: int

    @classmethod
    def none(cls, cells: pl.Series) -> "_Sorts":
        """Return the sorts of a column that nothing can be made of."""
        num_known = len(cells) - cells.null_count()
        return cls(None, None, None, None, 0, 0, np.full(len(cells), math.nan), num_known)

    @property
    def is_one(self) -> bool:
        """Whether all cells that are there are numbers, or truths, or moments."""
        found = [self.numbers, self.booleans, self.moments, self.others]
        return self.others is None and sum(sort is not None for sort in found) == 1

    @property
    def known(self) -> np.ndarray:
        """The values that there are."""
        known: np.ndarray = self.values[~np.isnan(self.values)]
        return known

    @property
    def cycles(self) -> dict[Cycle, RunningStatistics]:
        """The spread of the moments within each cycle."""
        if self.moments is None:
            return {}
        seconds = self.values[self.moments.to_numpy()]
        return {
            cycle: RunningStatistics.of(seconds % length) for cycle, length in CYCLE_SECONDS.items()
        }


def _sort(cells: pl.Series) -> _Sorts:
    num_known = len(cells) - cells.null_count()
    parsed = parse_numbers(cells)
    values = parsed.to_numpy()
    left = num_known - (len(cells) - parsed.null_count())
    numbers = parsed.is_not_null() if num_known > left else None
    if not left:
        return _Sorts(numbers, None, None, None, 0, 0, values, num_known)
    truths = parse_booleans(cells)
    left -= len(cells) - truths.null_count()
    booleans = truths.is_not_null() if truths.null_count() < len(cells) else None
    moments = others = None
    if left:
        parsed_moments = parse_datetimes(cells)
        if parsed_moments.null_count() < len(cells):
            moments = parsed_moments.is_not_null()
            left -= int(moments.sum())
            seconds = to_seconds(parsed_moments)
            values = np.where(moments.to_numpy(), seconds, values)
    written_otherwise = 0
    if left:
        others = cells.is_not_null() & parsed.is_null()
        for sort in (booleans, moments):
            if sort is not None:
                others &= ~sort
        if cells.dtype == pl.String:
            meant = cells.str.contains(_NUMBER_WRITTEN_OTHERWISE).fill_null(value=False) & others
            written_otherwise = int(meant.sum())
    return _Sorts(
        numbers,
        booleans,
        moments,
        others,
        int(truths.sum() or 0),
        written_otherwise,
        values,
        num_known,
    )
