"""Recognising from the first rows of a file how it writes numbers and dates."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from dlcli.tables.notation.dates import LOOKS_DATED, DateReading
from dlcli.tables.notation.notation import PLAIN_NOTATION, Notation
from dlcli.tables.notation.numbers import (
    PLAIN_READING,
    NumberReading,
    fitting_readings,
    look_like_numbers,
    readings_of,
)
from dlcli.tables.text.date_hints import may_have_dates
from dlcli.tables.text.text_format import TextFormat

_MOSTLY = 0.8  # of a column's cells: what makes it one of numbers, or of dates
_SAMPLED_ROWS = 200  # in which a column of dates shows one
_DIGITS = np.zeros(256, bool)
_DIGITS[ord("0") : ord("9") + 1] = True


def recognise_notation(
    head: bytes, rows: pl.DataFrame, form: TextFormat, separator: str
) -> Notation:
    """Return how numbers and dates are written in a file's first bytes, whose cells are `rows`.

    What is said in `form` holds without a look at them. Numbers of the whole file are read in one
    way; the dates of each column are. Cells that are missing values are no evidence.
    """
    readings, text_columns = _recognise_numbers(head, rows, form, separator)
    dates = {}
    if form.date_formats is not None or may_have_dates(head):
        dates = dict(_recognise_dates(rows, form))
    if readings == (PLAIN_READING,) and not dates:
        return PLAIN_NOTATION
    return Notation(
        numbers=readings,
        text_columns=text_columns | form.labels,
        dates=dates,
        as_they_are=tuple(text.strip() for text in form.missing_values),
        advice=form.advice,
    )


def _recognise_numbers(
    head: bytes, rows: pl.DataFrame, form: TextFormat, separator: str
) -> tuple[tuple[NumberReading, ...], frozenset[str]]:
    """Return the readings that fit the numbers of all columns, and the columns without numbers."""
    allowed = readings_of(form.decimal, form.thousands)
    if PLAIN_READING in allowed and not _has_odd_marks(head, separator):
        return (PLAIN_READING,), frozenset()
    evidence, text_columns = [], set[str]()
    for cells in _evidence(rows, form):
        known = _known(cells, form).unique()
        numbers = known.filter(look_like_numbers(known))
        if len(numbers) < _MOSTLY * len(known):
            text_columns.add(cells.name)
        else:
            evidence.append(numbers)
    fitting = fitting_readings(evidence, allowed)
    if PLAIN_READING in fitting:
        # Between semicolons, as in a table with decimal commas, 1.234 may be a thousand.
        others = [reading for reading in fitting if reading.thousands == "."]
        has_points = any(column.str.contains(".", literal=True).any() for column in evidence)
        fitting = [PLAIN_READING, *(others if separator == ";" and has_points else ())]
    elif not fitting:
        fitting = [PLAIN_READING] if PLAIN_READING in allowed else allowed
    if len(fitting) > 1:  # labels are no evidence, unless two readings are left
        labels = [_numbers_of(rows[name], form) for name in rows.columns if name in form.labels]
        fitting = fitting_readings(labels, fitting) or fitting
    ungrouped = {reading.decimal for reading in fitting if not reading.thousands}
    return (
        tuple(
            reading
            for reading in fitting
            # Groups that no number shows are not expected in later ones.
            if not reading.thousands or reading.decimal not in ungrouped
        ),
        frozenset(text_columns),
    )


def _numbers_of(cells: pl.Series, form: TextFormat) -> pl.Series:
    """Return the cells that some reading takes for a number."""
    known = _known(cells, form).unique()
    return known.filter(look_like_numbers(known))


def _has_odd_marks(head: bytes, separator: str) -> bool:
    """Say whether a cell may be a number that is not written as 1234.5: soon told of most files."""
    data = np.frombuffer(head, np.uint8)
    if b"'" in head or (not head.isascii() and any(mark in head for mark in _ODD_MARKS)):
        return True
    if b'"' in head if separator == "," else b"," in head:
        return True
    spaces = np.flatnonzero(data[1:-1] == ord(" ")) + 1
    if (_DIGITS[data[spaces - 1]] & _DIGITS[data[spaces + 1]]).any():
        return True
    return separator == ";" and b"." in head


_ODD_MARKS = [mark.encode() for mark in "’\u00a0\u202f"]


def _recognise_dates(rows: pl.DataFrame, form: TextFormat) -> Iterator[tuple[str, DateReading]]:
    """Yield each column of dates, and their reading."""
    columns = _evidence(rows, form)
    if form.date_formats == () or not columns:
        return
    if form.date_formats is None:
        frame = pl.DataFrame(columns)
        sampled = frame.gather_every(max(1, len(frame) // _SAMPLED_ROWS))
        dated = sampled.select(pl.all().str.contains(LOOKS_DATED).any())
        columns = [cells for cells, dates in zip(columns, dated, strict=True) if dates[0]]
    for cells in columns:
        known = _known(cells, form)
        if form.date_formats is None:
            reading = DateReading.recognised(known, _MOSTLY)
        else:
            reading = DateReading.given(known, form.date_formats, _MOSTLY)
        if reading is not None:
            yield cells.name, reading


def _evidence(rows: pl.DataFrame, form: TextFormat) -> list[pl.Series]:
    """Return the columns that may be numbers or dates."""
    return [cells for cells in rows if cells.name not in form.labels]


def _known(cells: pl.Series, form: TextFormat) -> pl.Series:
    """Return the cells that say something."""
    text = cells.str.strip_chars()
    missing = {"", *(value.strip() for value in form.missing_values)}
    return text.filter(text.is_not_null() & ~text.is_in(list(missing)))
