"""How numbers are written: decimal marks, thousands separators; text of numbers as 1234.5."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

# Spaces include those that don't break, and apostrophes both forms.
_THOUSANDS = {"": "", ",": ",", ".": r"\.", " ": "[ \u00a0\u202f]", "'": "['’]"}
_DECIMAL = {".": r"\.", ",": ","}


@dataclass(frozen=True)
class NumberReading:
    """One way to read numbers: which mark stands before decimals, and which between thousands."""

    decimal: str
    thousands: str  # "": none

    @property
    def pattern(self) -> str:
        """A regular expression for the whole text of a number: groups have three digits."""
        mark, between = _DECIMAL[self.decimal], _THOUSANDS[self.thousands]
        whole = "[0-9]+"
        if between:
            whole = f"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:{between}[0-9]{{3}})+)"
        return rf"^[-+]?(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][-+]?[0-9]+)?$"

    def plainly(self, text: pl.Series) -> pl.Series:
        """Return numbers as 1234.5, and null for text that is no number in this reading."""
        numbers = text.set(~text.str.contains(self.pattern).fill_null(value=False), None)
        if self.thousands:
            numbers = numbers.str.replace_all(_THOUSANDS[self.thousands], "")
        return numbers.str.replace(self.decimal, ".", literal=True)


PLAIN_READING = NumberReading(".", "")
READINGS = (
    PLAIN_READING,
    NumberReading(",", ""),
    *(NumberReading(".", thousands) for thousands in (",", " ", "'")),
    *(NumberReading(",", thousands) for thousands in (".", " ", "'")),
)


def readings_of(decimal: str | None, thousands: str | None) -> list[NumberReading]:
    """Return the readings with these marks; None: any."""
    return [
        reading
        for reading in READINGS
        if decimal in (None, reading.decimal) and thousands in (None, reading.thousands)
    ]


def look_like_numbers(text: pl.Series) -> pl.Series:
    """Say of each text, none null, whether some reading takes it for a number."""
    return text.str.contains("|".join(reading.pattern for reading in READINGS))


def fitting_readings(
    columns: Sequence[pl.Series], readings: Sequence[NumberReading]
) -> list[NumberReading]:
    """Return the readings in which every text of some columns is a number."""
    return [
        reading
        for reading in readings
        if all(column.str.contains(reading.pattern).all() for column in columns)
    ]


@dataclass(frozen=True)
class PlainNumbers:
    """Cells with their numbers written as 1234.5."""

    cells: pl.Series
    is_ambiguous: pl.Series  # bool: two readings make different numbers of it
    is_other: pl.Series  # bool: no reading takes it for a number, and the plain one would

    @classmethod
    def of(cls, cells: pl.Series, readings: Sequence[NumberReading]) -> "PlainNumbers":
        """Rewrite each cell in which all `readings` that take it for a number see the same one."""
        text = cells.str.strip_chars()
        found = pl.Series(cells.name, [], dtype=pl.String).clear(len(cells))
        is_ambiguous = pl.Series([False]).new_from_index(0, len(cells))
        for reading in readings:
            numbers = reading.plainly(text)
            differs = numbers.cast(pl.Float64, strict=False) != found.cast(pl.Float64, strict=False)
            is_ambiguous |= differs.fill_null(value=False)
            found = found.zip_with(found.is_not_null(), numbers)
        is_plain = text.str.contains(PLAIN_READING.pattern).fill_null(value=False)
        return cls(
            cells=cells.zip_with(found.is_null() | is_ambiguous, found),
            is_ambiguous=is_ambiguous,
            is_other=is_plain & found.is_null(),
        )


def values_of(cell: str, readings: Sequence[NumberReading]) -> dict[str, NumberReading]:
    """Return the different numbers that readings make of a cell, as 1234.5."""
    text = pl.Series([cell.strip()])
    found = {reading.plainly(text).item(): reading for reading in reversed(readings)}
    return {number: reading for number, reading in found.items() if number is not None}
