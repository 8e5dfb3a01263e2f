"""Rows split by their times: the latest are the test rows, those before them validate."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from dlcli.columns.cells import parse_datetimes, parse_numbers, read_cells
from dlcli.data.splits.parts import Split, wanted_parts
from dlcli.errors import DataError, counted
from dlcli.tables.table import Table

MAX_EXACT_TIMES = 2**17  # in memory; of more rows, every second, fourth, … time stands for others


@dataclass(frozen=True)
class TimeCuts:
    """Where the validation and the test rows begin, in time; None: there are none."""

    are_dates: bool
    validation: float | None  # microseconds since 1970 UTC of dates, other numbers as they are
    test: float | None
    is_exact: bool  # whether no other cut would give shares nearer to those that are wanted

    def split(self, times: np.ndarray) -> Split:
        """Return the parts of rows with such times, [rows]."""
        parts = np.zeros(len(times), np.int64)
        for part, first in ((1, self.validation), (2, self.test)):
            if first is not None:
                parts[times >= first] = part
        return Split.of(parts)

    def notes(self, column: str) -> list[str]:
        """Say where parts begin."""
        begins = [
            f"{part} rows: '{column}' from {self._text(first)} on (data.split.time)"
            for part, first in (("validation", self.validation), ("test", self.test))
            if first is not None
        ]
        if not self.is_exact:
            begins.append(
                "where they begin was chosen by a sample of the times, so the parts have their "
                "shares to within about 0.1% of the rows (data.split.time, data.streaming)"
            )
        return begins

    def _text(self, time: float) -> str:
        if not self.are_dates:
            return f"{time:.15g}"
        text = str(np.datetime64(int(time), "us")).replace("T", " ")
        return text.removesuffix(".000000").removesuffix(" 00:00:00")


@dataclass
class TimeReader:
    """Reads the times of rows block by block, and chooses the cuts, in bounded memory.

    Up to `max_times` rows, all times are held. Then, each time that a level is full, it is sorted
    and every second time goes to the next level, where it stands for two (Manku, Rajagopalan and
    Lindsay 1999): the error of a share is at most the number of levels by `max_times`.
    """

    column: str
    are_dates: bool | None = None  # and not numbers, as the first row has it
    max_times: int = MAX_EXACT_TIMES  # in a level
    levels: list[np.ndarray] = field(default_factory=lambda: [np.empty(0)])
    num_sorted: int = 0  # how often a level was full

    def read(self, rows: Table) -> np.ndarray:
        """Return the times of rows, float64 [rows].

        Raises DataError where one is missing, or is not what that of the first row is.
        """
        cells = read_cells(rows, self.column, rows.missing_values or ())
        if self.are_dates is None and len(cells):
            self.are_dates = parse_numbers(cells.head(1)).null_count() > 0
        if self.are_dates:
            times = parse_datetimes(cells).dt.epoch("us").cast(pl.Float64)
        else:
            times = parse_numbers(cells)
        if times.null_count():
            first = int(times.is_null().arg_max() or 0)
            raise self._unusable(cells[first], rows.place(first))
        return times.to_numpy()

    def add(self, rows: Table) -> None:
        """Take note of the times of rows; DataError."""
        self._push(0, self.read(rows))

    def cuts(self, source: str, *, validation: float, test: float) -> TimeCuts:
        """Return the cuts whose shares of rows are nearest to those wanted; DataError.

        Rows of one time stay together, and each part that is wanted has a time.
        """
        times = np.concatenate(self.levels)
        weights = np.concatenate(
            [np.full(len(level), 1 << index) for index, level in enumerate(self.levels)]
        )
        distinct, places = np.unique(times, return_inverse=True)
        rows_from = np.cumsum(np.bincount(places, weights)[::-1])[::-1]  # on: [distinct]
        parts = wanted_parts(validation, test)
        if len(distinct) < len(parts):
            few = counted(len(distinct), "different time")
            raise DataError(
                f"{source}: '{self.column}' has {few}, too few for the parts {', '.join(parts)}, "
                "as rows of one time stay together: take a fraction out of data.split, or name "
                "another column in data.split.time"
            )
        num_rows, end, num_later, firsts = rows_from[0], len(distinct), 0.0, {}
        for part, share, least in (("test", test, len(parts) - 1), ("validation", validation, 1)):
            if not share:
                continue
            off = np.abs(rows_from[least:end] - num_later - share * num_rows)
            end = end - 1 - int(off[::-1].argmin())  # of two that are as near, the later
            num_later = rows_from[end]
            firsts[part] = float(distinct[end])
        return TimeCuts(
            are_dates=bool(self.are_dates),
            validation=firsts.get("validation"),
            test=firsts.get("test"),
            is_exact=len(self.levels) == 1,
        )

    def _push(self, level: int, times: np.ndarray) -> None:
        if level == len(self.levels):
            self.levels.append(np.empty(0))
        held = np.concatenate([self.levels[level], times])
        while len(held) > self.max_times:  # in any blocks, the same times are kept
            full, held = np.sort(held[: self.max_times]), held[self.max_times :]
            self.num_sorted += 1
            self._push(level + 1, full[self.num_sorted % 2 :: 2])
        self.levels[level] = held

    def _unusable(self, cell: object, place: str) -> DataError:
        if cell is None:
            return DataError(
                f"{place}: the time '{self.column}' is missing here, so the row could be earlier "
                "or later than others (data.split.time): fill it in, or remove the row"
            )
        expected = "a date or a number" if self.are_dates else "a number"
        return DataError(
            f"{place}: the time '{self.column}' has {cell!r} where {expected} is expected "
            "(data.split.time): correct it, remove the row, or name another column; dates are "
            "written 2024-01-31 or 2024-01-31 18:30:00, unless data.date_formats says otherwise"
        )
