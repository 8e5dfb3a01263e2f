"""Columns of times → whole steps of one length, and back."""

from typing import Annotated, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.cells import parse_datetimes, parse_numbers, read_cells
from dlcli.errors import DataError, counted
from dlcli.section import PositiveFloat, Section
from dlcli.tables.names import ColumnName
from dlcli.tables.table import Table

TimeUnit = Literal["microsecond", "month", "plain"]
PARTS_OF_DATES = ("year", "month", "day", "hour", "minute", "second")
_UNITS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_NEAR = 1e-6  # of a step, by which a number may be beside it


class TimeAxis(Section):
    """The step between the rows of a series: so many microseconds, months, or a number."""

    columns: Annotated[tuple[ColumnName, ...], Field(strict=False, min_length=1)]
    unit: TimeUnit
    step: PositiveFloat
    has_clock: bool  # whether times of one column are written with hours and minutes
    is_month_end: bool = False  # whether months are the last days of each

    @classmethod
    def find(cls, rows: Table, columns: tuple[str, ...], groups: np.ndarray) -> Self:
        """Return the axis of some rows: by the commonest step; DataError where there is none.

        `groups` is the number of each row's series, int64 [rows].
        """
        times, are_dates = read_times(rows, columns)
        order = np.lexsort((times, groups))
        same = groups[order][1:] == groups[order][:-1]
        steps = np.diff(times[order])[same]
        steps = steps[steps > 0]
        if not len(steps):
            raise DataError(
                f"{rows.source}: '{', '.join(columns)}' has one time only, and a forecast needs "
                "many (data.window.time)"
            )
        lengths, counts = np.unique(steps, return_counts=True)
        step = float(lengths[counts.argmax()])
        unit: TimeUnit = "microsecond" if are_dates else "plain"
        has_clock = are_dates and bool((times % _UNITS["day"]).any())
        is_end = False
        if are_dates and not has_clock and len(lengths) > 1 and step >= 28 * _UNITS["day"]:
            months, days, lasts = _months_and_days(times)
            is_end = bool((days == lasts).all())
            if is_end or (days == days[0]).all():
                unit = "month"
                in_months = np.diff(months[order])[same]
                lengths, counts = np.unique(in_months[in_months > 0], return_counts=True)
                step = float(lengths[counts.argmax()])
        return cls(columns=columns, unit=unit, step=step, has_clock=has_clock, is_month_end=is_end)

    @property
    def name(self) -> str:
        """Its columns, for messages."""
        return ", ".join(self.columns)

    @property
    def step_text(self) -> str:
        """The step in words: 1 hour."""
        return self.span_text(1)

    def span_text(self, num_steps: int) -> str:
        """Return a number of steps in words: 3 days; nothing of plain numbers."""
        size = self.step * num_steps
        if self.unit == "plain":
            return f"{size:.6g}"
        if self.unit == "month":
            return (
                counted(int(size) // 12, "year") if size % 12 == 0 else counted(int(size), "month")
            )
        for name, length in _UNITS.items():
            if size % length == 0:
                return counted(int(size // length), name)
        return f"{size / 1e6:g} seconds"

    def positions(self, rows: Table, origin: float | None = None) -> tuple[np.ndarray, float]:
        """Return each row's whole number of steps from the first time, int64 [rows], and that.

        Raises DataError where a time lies between two steps.
        """
        times, _ = read_times(rows, self.columns)
        first = float(times.min()) if origin is None else origin
        if self.unit == "month":
            months, days, lasts = _months_and_days(times)
            start = _months_and_days(np.array([first]))
            exact = (months - start[0][0]) / self.step
            is_off = days != (lasts if self.is_month_end else start[1][0])
            exact[is_off] += 0.5
        else:
            exact = (times - first) / self.step
        found = np.rint(exact)
        off = np.flatnonzero(np.abs(exact - found) > _NEAR)
        if len(off):
            row = int(off[0])
            raise DataError(
                f"{rows.place(row)}: {self.text(times[row : row + 1])[0]} is no whole number of "
                f"steps of {self.step_text} after the first time, {self.text(np.array([first]))[0]}"
                f", and so are {len(off)} of {len(rows)} rows: bring the rows to one regular step, "
                "or name the column that tells series apart in data.window.group"
            )
        return found.astype(np.int64), first

    def times(self, positions: np.ndarray, origin: float) -> np.ndarray:
        """Return the times of positions: microseconds since 1970 or numbers, float64."""
        if self.unit != "month":
            found: np.ndarray = origin + positions * self.step
            return found
        months, days, _ = _months_and_days(np.array([origin]))
        numbers = months[0] + positions * int(self.step)
        starts = numbers.astype("datetime64[M]")
        last = (starts + 1).astype("datetime64[D]") - starts.astype("datetime64[D]")
        day = last.astype(np.int64) if self.is_month_end else np.full(len(numbers), days[0])
        dates = starts.astype("datetime64[D]") + (day - 1)
        microseconds: np.ndarray = dates.astype("datetime64[us]")
        return microseconds.astype(np.float64)

    def text(self, times: np.ndarray) -> list[str]:
        """Return times as text."""
        if self.unit == "plain":
            return [f"{time:.15g}" for time in times]
        form = "%Y-%m-%d %H:%M:%S" if self.has_clock else "%Y-%m-%d"
        return [*_as_datetimes(times).dt.strftime(form)]

    def as_columns(self, times: np.ndarray) -> list[pl.Series]:
        """Return the columns of times as the table has them."""
        if self.unit == "plain":
            whole = bool((times == np.rint(times)).all())
            values = times.astype(np.int64) if whole else times
            return [pl.Series(self.columns[0], values)]
        dates = _as_datetimes(times)
        if len(self.columns) == 1:
            return [(dates if self.has_clock else dates.cast(pl.Date)).alias(self.columns[0])]
        parts = zip(self.columns, PARTS_OF_DATES, strict=False)
        return [getattr(dates.dt, part)().cast(pl.Int64).alias(name) for name, part in parts]


def read_times(rows: Table, columns: tuple[str, ...]) -> tuple[np.ndarray, bool]:
    """Return the times of rows, float64 [rows], and whether they are dates, in microseconds.

    Several columns are the parts of a date, from the year on. DataError where a time is missing or
    is none.
    """
    missing = rows.missing_values or ()
    if len(columns) > 1:
        return _dates_in_parts(rows, columns, missing), True
    cells = read_cells(rows, columns[0], missing)
    numbers = parse_numbers(cells)
    are_dates = len(cells) > 0 and numbers.head(1).null_count() > 0
    found = parse_datetimes(cells).dt.epoch("us").cast(pl.Float64) if are_dates else numbers
    _refuse_null(rows, found, cells, columns[0], "a date" if are_dates else "a number")
    return found.to_numpy(), are_dates


def _dates_in_parts(rows: Table, columns: tuple[str, ...], missing: tuple[str, ...]) -> np.ndarray:
    if len(columns) > len(PARTS_OF_DATES):
        raise DataError(
            f"data.window.time: {len(columns)} columns are more than {', '.join(PARTS_OF_DATES)}"
        )
    parts = {}
    for name, part in zip(columns, PARTS_OF_DATES, strict=False):
        cells = read_cells(rows, name, missing)
        numbers = parse_numbers(cells)
        whole = numbers.set(numbers != numbers.floor(), None).cast(pl.Int32, strict=False)
        _refuse_null(rows, whole, cells, name, f"the {part} of a date, a whole number,")
        parts[part] = whole
    parts.setdefault("month", pl.repeat(1, len(rows), dtype=pl.Int32, eager=True))
    parts.setdefault("day", pl.repeat(1, len(rows), dtype=pl.Int32, eager=True))
    hours = {part: parts.pop(part) for part in PARTS_OF_DATES[3:] if part in parts}
    dates = pl.DataFrame(parts).select(pl.date("year", "month", "day")).to_series()
    limits = {"hour": 23, "minute": 59, "second": 59}
    bad = dates.is_null()
    for part, numbers in hours.items():
        bad = bad | (numbers < 0) | (numbers > limits[part])
    if bad.any():
        row = int(bad.arg_max() or 0)
        written = ", ".join(f"{name} {rows.column(name)[row]}" for name in columns)
        raise DataError(
            f"{rows.place(row)}: {written} is no date (data.window.time): name its columns from "
            "the year on, as in [year, month, day, hour], or correct the row"
        )
    times = dates.cast(pl.Datetime("us")).dt.epoch("us").to_numpy().astype(np.float64)
    for part, numbers in hours.items():
        times += numbers.to_numpy() * float(_UNITS[part])
    return times


def _refuse_null(rows: Table, found: pl.Series, cells: pl.Series, name: str, what: str) -> None:
    """Raise DataError where something that is no time, or a part of one, was found."""
    if not found.null_count():
        return
    row = int(found.is_null().arg_max() or 0)
    cell = cells[row]
    has = "is missing" if cell is None else f"has {cell!r} where {what} is expected"
    raise DataError(
        f"{rows.place(row)}: the time '{name}' {has} (data.window.time): correct it or remove the "
        "row; dates are written 2024-01-31 or 2024-01-31 18:30, unless data.date_formats says "
        "otherwise"
    )


def _as_datetimes(times: np.ndarray) -> pl.Series:
    return pl.Series(times.astype(np.int64)).cast(pl.Datetime("us"))


def _months_and_days(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return months since 1970, the day in each, and the last day of each, int64."""
    dates = times.astype(np.int64).astype("datetime64[us]").astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    days = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    lasts = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    return months.astype(np.int64), days, lasts
