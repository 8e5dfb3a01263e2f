"""How the cells of a file write numbers and dates, and rewriting them in plain notation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from dlcli.tables.notation.dates import DateReading
from dlcli.tables.notation.numbers import (
    PLAIN_READING,
    NumberReading,
    PlainNumbers,
    readings_of,
    values_of,
)


class Advice(Protocol):
    """What tells users to say how a file is written."""

    def __call__(self, key: str, *values: object) -> str:
        """Return the advice to set a key of `data` to one of some values."""


def _no_advice(key: str, *values: object) -> str:
    raise AssertionError(f"plain notation needs no {key}: {values}")


@dataclass(frozen=True)
class Notation:
    """How text is to be read as numbers and dates; the same for all rows of a file.

    Where several readings of numbers, or several formats of a column's dates, fit the rows that
    they were recognised from, those that fit a cell must agree on it.
    """

    numbers: tuple[NumberReading, ...] = (PLAIN_READING,)
    text_columns: frozenset[str] = frozenset()  # of cells that are mostly no numbers
    dates: Mapping[str, DateReading] = field(default_factory=dict)  # of columns that have some
    as_they_are: tuple[str, ...] = ()  # cells that are not rewritten: they mean that none is there
    advice: Advice = _no_advice

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as 1234.5 and dates as 2024-01-31."""
        return self.numbers == (PLAIN_READING,) and not self.dates

    def rewrite(self, cells: pl.Series) -> tuple[pl.Series, "Misread | None"]:
        """Return a column's text in plain notation, and the first cell that can't be read so.

        That cell, and others that no reading takes for a number or a date, stay as they are.
        """
        misread = None
        plain = cells
        if cells.name in self.dates:
            plain, misread = self._rewrite_dates(cells)
        elif self.numbers != (PLAIN_READING,):
            plain, misread = self._rewrite_numbers(cells)
        if self.as_they_are:
            is_kept = cells.str.strip_chars().is_in(list(self.as_they_are))
            plain = plain.zip_with(~is_kept.fill_null(value=False), cells)
        return plain, misread

    def _rewrite_numbers(self, cells: pl.Series) -> tuple[pl.Series, "Misread | None"]:
        found = PlainNumbers.of(cells, self.numbers)
        if cells.name in self.text_columns:
            return found.cells, None
        if found.is_ambiguous.any():
            row = int(found.is_ambiguous.arg_max() or 0)
            values = values_of(cells[row], self.numbers)
            marks = dict.fromkeys(reading.decimal for reading in values.values())
            repair = self.advice("decimal", *marks)
            return found.cells, Misread(row, f"which may be {' or '.join(values)}", repair)
        if found.is_other.any():
            row = int(found.is_other.arg_max() or 0)
            mark, cell = self.numbers[0].decimal, cells[row].strip()
            grouped = values_of(cell, readings_of(mark, "."))
            repair = self.advice("thousands", ".") if grouped else self.advice("decimal", ".")
            repair = f"correct it, or {repair}"
            what = f"where numbers are written with the decimal mark '{mark}'"
            if mark == ".":
                what, repair = "which is no number as others are written", "correct it"
            return found.cells, Misread(row, what, repair, found.is_other)
        return found.cells, None

    def _rewrite_dates(self, cells: pl.Series) -> tuple[pl.Series, "Misread | None"]:
        reading = self.dates[cells.name]
        plain, is_ambiguous = reading.to_iso(cells)
        if not is_ambiguous.any():
            return plain, None
        row = int(is_ambiguous.arg_max() or 0)
        values = reading.values_of(cells[row])
        others = [
            layout
            for name, other in self.dates.items()
            if name != cells.name and len(other.formats) == 1
            for layout in other.formats
        ]
        if reading.is_mixed:
            formats = list(dict.fromkeys([*reading.formats, *others]))
            what = "and no single format fits all dates of the column"
            repair = (
                "write all in one, or, for these formats in the order in which they are tried, "
                f"{self.advice('date_formats', formats)}"
            )
            return plain, Misread(row, what, repair)
        either = [list(dict.fromkeys([layout, *others])) for layout in values]
        return plain, Misread(
            row,
            f"which may be {' or '.join(dict.fromkeys(values.values()))}",
            self.advice("date_formats", *either),
        )


PLAIN_NOTATION = Notation()


@dataclass(frozen=True)
class Misread:
    """A cell that can be read in two ways, or in none."""

    row: int
    what: str  # is the matter with it
    repair: str
    others: pl.Series | None = None  # bool: which cells no reading takes; None: some have two
