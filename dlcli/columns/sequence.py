"""Columns of sequences of numbers."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self, final

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import BadCells, CellError
from dlcli.columns.base import Axis, EncodingSettings, Inference, Series
from dlcli.columns.cells import FEATURE, ColumnUse
from dlcli.columns.cells.sequences import (
    flatten,
    parse_sequences,
    read_sequence_cells,
    sequences_to_text,
)
from dlcli.columns.column_statistics import CellCount, ColumnStatistics
from dlcli.columns.ragged import RaggedColumn, RaggedValues
from dlcli.columns.running_statistics import center_and_deviation
from dlcli.columns.sequence_statistics import SequenceStatistics
from dlcli.columns.unseen import UnseenCells
from dlcli.errors import counted
from dlcli.section import PositiveFloat, PositiveInt
from dlcli.tables.table import Table, more_rows

_CUT = "longer than data.sequence.max_length or than any in training: cut off behind it"
_MISSING = "missing, although training had none: a sequence without elements"
_NUM_SHOWN = 2  # numbers of a cell on a page
_EXPECTED = "a sequence of finite numbers, such as 1;2;3 or a list,"


@final
class SequenceColumn(RaggedColumn):
    """(x - center) / scale of each number of a sequence; a missing one has none."""

    axis: ClassVar[Axis] = "positions"
    cell: ClassVar[str] = "sequence"
    settings: ClassVar[Mapping[str, str]] = {"sequence": "no feature is a sequence (data.kinds)"}

    kind: Literal["sequence"] = "sequence"
    center: float
    scale: PositiveFloat
    longest: PositiveInt  # elements that a row has at most
    has_missing: bool  # a sequence was missing in the training rows

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return List(Float64), null where a cell is missing or holds something else."""
        return parse_sequences(cells)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take none: a config says which columns are sequences."""
        del statistics
        return None

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say of none: sequences may all be different."""
        del cells
        return None

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Raise DataError where a cell is no sequence of numbers."""
        del use
        other = statistics.others
        if other.count:
            raise _refused(
                statistics.name, other.cell, statistics.place(other), _EXPECTED, other.count
            )

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit mean and standard deviation of all elements, and the length of the longest one."""
        found = _sequences_of(statistics)
        center, scale = center_and_deviation(found.numbers)
        return cls(
            name=statistics.name,
            center=center,
            scale=scale,
            longest=max(1, min(found.lengths.longest, settings.sequence.max_length)),
            has_missing=statistics.missing.count > 0,
        )

    def encode_rows(
        self, rows: Table, missing_values: tuple[str, ...]
    ) -> tuple[RaggedValues, list[UnseenCells]]:
        """Return float32 [elements, 1], and the sequences that are missing or cut off."""
        cells = read_sequence_cells(rows, self.name, missing_values)
        parsed = self.parse(cells)
        elements, lengths = self._scaled(parsed)
        for bad, expected in self._bad(cells, parsed, elements, lengths):
            if bad.any():
                first, count = int(bad.argmax()), int(bad.sum())
                raise _refused(self.name, cells[first], rows.place(first), expected, count)
        unseen = []
        missing = np.flatnonzero(cells.is_null().to_numpy())
        if len(missing) and not self.has_missing:
            place = rows.place(int(missing[0]))
            unseen.append(UnseenCells(self.name, _MISSING, len(missing), place, len(rows)))
        cut = np.flatnonzero(lengths > self.longest)
        if len(cut):
            unseen.append(self._cut(len(cut), rows.place(int(cut[0])), len(rows)))
            starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
            elements = elements[np.arange(len(elements)) - starts < self.longest]
            lengths = np.minimum(lengths, self.longest)
        return RaggedValues(elements[:, None], lengths), unseen

    def find_bad(self, rows: Table, missing_values: tuple[str, ...]) -> list[BadCells]:
        """Return the cells that are no sequence, or that float32 can't hold, scaled."""
        cells = read_sequence_cells(rows, self.name, missing_values)
        parsed = self.parse(cells)
        found = self._bad(cells, parsed, *self._scaled(parsed))
        return [
            BadCells(self.name, f"not {expected.rstrip(',')}", bad)
            for bad, expected in found
            if bad.any()
        ]

    def find_unseen(self, statistics: ColumnStatistics) -> list[UnseenCells]:
        """Return the sequences that are missing or cut off."""
        missing, num_rows, unseen = statistics.missing, statistics.num_rows, []
        if missing.count and not self.has_missing:
            place = statistics.place(missing)
            unseen.append(UnseenCells(self.name, _MISSING, missing.count, place, num_rows))
        cut = _sequences_of(statistics).lengths.above(self.longest)
        if cut.count:
            unseen.append(
                self._cut(cut.count, statistics.place(CellCount(cut.count, cut.number)), num_rows)
            )
        return unseen

    def notes(self, statistics: ColumnStatistics) -> list[str]:
        """Say how many sequences are cut off."""
        cut = _sequences_of(statistics).lengths.above(self.longest)
        if not cut.count:
            return []
        return [
            f"'{self.name}': {counted(cut.count, 'training sequence')} cut off behind "
            f"{counted(self.longest, self.element)} (data.sequence.max_length)"
        ]

    def is_constant(self, statistics: ColumnStatistics) -> bool:
        """Say whether all rows have the same sequence, or none has one."""
        found = _sequences_of(statistics)
        if not found.num_rows:
            return True
        return found.common is not None and not statistics.missing.count

    def labels(self, rows: Table, missing_values: tuple[str, ...]) -> pl.Series:
        """Return the cells as text, null where missing."""
        return sequences_to_text(read_sequence_cells(rows, self.name, missing_values))

    def cell_text(self, cell: object) -> str | None:
        """Return the first numbers of a cell, and how many it has."""
        parsed = self.parse(pl.Series([cell]))[0]
        if parsed is None:
            return super().cell_text(cell)
        numbers = [f"{number:.3g}" for number in parsed]
        first, num_shown = ", ".join(numbers[:_NUM_SHOWN]), len(numbers)
        return first if num_shown <= _NUM_SHOWN else f"{first}, … ({num_shown:,})"

    @property
    def sequence(self) -> Series:
        """Its numbers, one channel."""
        return Series(self.name, f"sequence {self.name}", self.longest, 1)

    @property
    def parts(self) -> tuple[str, ...]:
        """An element."""
        return ("element",)

    def continued(self, before: Self) -> Self:
        """Return what was fitted before."""
        return before

    @property
    def saw_missing(self) -> bool:
        """Whether a sequence was missing in the training rows."""
        return self.has_missing

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        return f"numbers, standard, at most {self.longest:,} a row"

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        sign = "−" if self.center >= 0 else "+"
        scaled = f"(x {sign} {abs(self.center):.4g}) / {self.scale:.4g}"
        return f"{scaled} of each number, at most {self.longest:,} a row, in their order"

    def _cut(self, count: int, first: str, num_cells: int) -> UnseenCells:
        return UnseenCells(self.name, _CUT, count, first, num_cells, self.cell, is_lost=False)

    def _scaled(self, parsed: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised elements, float32, infinite where too large, and their lengths."""
        elements, lengths = flatten(parsed)
        with np.errstate(over="ignore"):
            return ((elements - self.center) / self.scale).astype(np.float32), lengths

    def _bad(
        self, cells: pl.Series, parsed: pl.Series, elements: np.ndarray, lengths: np.ndarray
    ) -> list[tuple[np.ndarray, str]]:
        """Return which rows can't be encoded, and what would be expected of them."""
        of_rows = np.repeat(np.arange(len(lengths)), lengths)
        beyond = np.zeros(len(lengths), bool)
        beyond[of_rows[~np.isfinite(elements)]] = True
        return [
            ((cells.is_not_null() & parsed.is_null()).to_numpy(), _EXPECTED),
            (beyond, "numbers that float32 can hold, standardised,"),
        ]


def _sequences_of(statistics: ColumnStatistics) -> SequenceStatistics:
    found = statistics.sequences
    assert found is not None, "they are gathered for such a column"
    return found


def _refused(name: str, cell: object, place: str, expected: str, count: int) -> CellError:
    """Return the error for `count` cells of a column that are no sequences."""
    if isinstance(cell, pl.Series):
        shown = str(cell.to_list())
        repair = "leave the column out of data.features"
    else:
        shown = repr(cell)
        repair = f"put the text in data.missing_values; words are data.kinds: {{{name}: text}}"
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return CellError(
        f"{place}: column '{name}' has {shown} where {expected} is expected{more_rows(count)}",
        f"correct the file, or {repair}",
    )
