"""Columns of dates and times."""

from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field

from dlcli.columns.base import Axis, EncodingSettings, Inference, OrderedColumn
from dlcli.columns.cells import parse_datetimes, to_seconds
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.running_statistics import center_and_deviation, median

Cycle = Literal["year", "week", "day"]
_MOSTLY = 0.8
CYCLE_SECONDS: dict[Cycle, float] = {"year": 365.2425 * 86400, "week": 7 * 86400, "day": 86400}


@final
class DatetimeColumn(OrderedColumn):
    """Standardised seconds, and a sine and cosine for each cycle that varies."""

    axis: ClassVar[Axis] = "time"
    is_scalar: ClassVar[bool] = False
    fills_with_median: ClassVar[bool] = True
    expected: ClassVar[str] = "a date such as 2024-01-31 or 2024-01-31T12:00:00"

    kind: Literal["datetime"] = "datetime"
    center: float  # seconds since 1970 UTC
    scale: float
    cycles: Annotated[tuple[Cycle, ...], Field(strict=False)]

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return Datetime in UTC, null where a cell is no ISO 8601 date or date and time."""
        return parse_datetimes(cells)

    @classmethod
    def to_numbers(cls, parsed: pl.Series) -> np.ndarray:
        """Return seconds since 1970 UTC as float64 [rows], NaN where null."""
        return to_seconds(parsed)

    @classmethod
    def derive(cls, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the seconds since each cycle began."""
        return {cycle: numbers % length for cycle, length in CYCLE_SECONDS.items()}

    def to_cells(self, numbers: np.ndarray) -> pl.Series:
        """Return cells that hold some seconds, [rows]."""
        return (pl.Series(numbers, dtype=pl.Float64) * 1e6).cast(pl.Int64).cast(pl.Datetime("us"))

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take cells that are all dates."""
        dtype = statistics.dtype
        if dtype.is_temporal() and dtype not in (pl.Time, pl.Duration):
            return Inference(cls, "dates")
        if statistics.cells_of(cls.kind_name()).count < statistics.num_known:
            return None
        return Inference(cls, "dates")

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Dates that all differ are still in order, and have cycles."""
        del cells
        return None

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit mean and deviation, the median of the sample, and the cycles that vary."""
        del settings
        kind = cls.kind_name()
        seconds, within = statistics.numbers_of(kind), statistics.derived_of(kind)
        center, scale = center_and_deviation(seconds)
        return cls(
            name=statistics.name,
            center=center,
            scale=scale,
            fill=median(statistics.sample),
            indicator=statistics.missing.count > 0,
            cycles=tuple(
                cycle
                for cycle, length in CYCLE_SECONDS.items()
                if within and not within[cycle].is_constant and seconds.deviation > length / 10
            ),
        )

    def scaled(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return standardised seconds, then sine and cosine within each cycle, [rows] each."""
        angles = [2 * np.pi * numbers / CYCLE_SECONDS[cycle] for cycle in self.cycles]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return [(numbers - self.center) / self.scale, *waves]

    @property
    def num_slots(self) -> int:
        """The seconds, the indicator, and two for each cycle."""
        return 1 + self.indicator + 2 * len(self.cycles)

    @property
    def parts(self) -> tuple[str, ...]:
        """The time, whether it is missing, and a sine and a cosine for each cycle."""
        waves = [f"{wave} of the {cycle}" for cycle in self.cycles for wave in ("sine", "cosine")]
        return ("value", *["missing"] * self.indicator, *waves)

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        del settings
        cycles = f", cycles: {', '.join(self.cycles)}" if self.cycles else ""
        return "standard" + cycles + self._and_missing

    def encoding_in_full(self) -> str:
        """Say how it is encoded, for a page."""
        return "standardised" + (f", cycles: {', '.join(self.cycles)}" if self.cycles else "")


def is_mostly_dates(statistics: ColumnStatistics) -> bool:
    """Say whether text is mostly dates: what the rest means, only its owner can settle."""
    dates, known = statistics.cells_of(DatetimeColumn.kind_name()).count, statistics.num_known
    return statistics.is_text and _MOSTLY * known <= dates < known


def refuse_mostly_dates(statistics: ColumnStatistics) -> None:
    """Raise DataError where text is mostly dates."""
    if is_mostly_dates(statistics):
        DatetimeColumn.refuse_other(statistics)
