"""Columns of numbers."""

import re
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, final

import numpy as np
import polars as pl
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from dlcli.columns.base import Axis, EncodingSettings, Inference, NumericInput, OrderedColumn
from dlcli.columns.cells import (
    FEATURE,
    ColumnUse,
    float32_overflow_error,
    numbers_in,
    parse_numbers,
)
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.running_statistics import RunningStatistics, Sample, median
from dlcli.columns.scaling.scales import Transform, bin_edges, fit_scaling
from dlcli.tables.table import Table

_MOSTLY = 0.8
_MAX_DIGITS = 8  # of a number that a page shows as it is
_MAX_WHOLE = 1e15  # of a float that is shown as a whole number
_IDENTIFIER = re.compile(
    r"(.*[^A-Za-z])?(id|idx|index|key|no|nr|number|uuid|guid|row)", re.IGNORECASE
)


@final
class NumericColumn(OrderedColumn):
    """(x - center) / scale, and what `then` makes of it.

    A missing number is `fill`, and `indicator` adds a column for that.
    """

    axis: ClassVar[Axis] = "number"
    is_scalar: ClassVar[bool] = True
    accepts_numbers: ClassVar[bool] = True
    fills_with_median: ClassVar[bool] = True
    settings: ClassVar[dict[str, str]] = {"scale": "no feature is numeric"}
    expected: ClassVar[str] = "a number"

    kind: Literal["numeric"] = "numeric"
    center: float
    scale: float
    # What is None is left out of checkpoints, as in older ones.
    then: Transform | None = None
    edges: Annotated[tuple[float, ...], Field(strict=False)] | None = None  # of bins, scaled

    @model_serializer(mode="wrap")
    def _leave_out(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        stored: dict[str, Any] = serialise(self)
        absent = [key for key in ("then", "edges") if stored[key] is None]
        return {key: value for key, value in stored.items() if key not in absent}

    @classmethod
    def parse(cls, cells: pl.Series) -> pl.Series:
        """Return Float64, null where a cell is no number."""
        return parse_numbers(cells)

    @classmethod
    def to_numbers(cls, parsed: pl.Series) -> np.ndarray:
        """Return parsed values as float64 [rows], NaN where null."""
        return parsed.to_numpy()

    def to_cells(self, numbers: np.ndarray) -> pl.Series:
        """Return cells that hold some numbers, [rows]."""
        return pl.Series(numbers, dtype=pl.Float64)

    @classmethod
    def infer(cls, statistics: ColumnStatistics) -> Inference | None:
        """Take cells that are all numbers; of text that is mostly numbers, say that it is mixed."""
        known, numbers = statistics.num_known, statistics.cells_of(cls.kind_name())
        if statistics.dtype.is_numeric() or are_numbers(statistics):
            return Inference(cls, "numbers")
        if not is_mixed(statistics):
            return None
        other = statistics.other_than(cls.kind_name()).cell
        return Inference(None, f"{numbers.count} of {known} are numbers, but not {other!r}", True)

    @classmethod
    def names_rows(cls, cells: pl.Series) -> str | None:
        """Say so of whole numbers that are all different, and count up or are named like an id."""
        if cells.n_unique() < len(cells):
            return None
        numbers = parse_numbers(cells).to_numpy()
        is_whole = bool((numbers == np.floor(numbers)).all())
        counts_up = numbers.max() - numbers.min() == len(cells) - 1
        if is_whole and (counts_up or _IDENTIFIER.fullmatch(cells.name)):
            return "a different whole number in every row: it identifies the row"
        return None

    @classmethod
    def refuse_other(cls, statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
        """Raise DataError where a cell is no number, or one that is too large for float32."""
        super().refuse_other(statistics, use)
        beyond = statistics.too_large
        if beyond.count:
            raise float32_overflow_error(statistics.name, beyond.cell, statistics.place(beyond))

    @classmethod
    def fit(cls, statistics: ColumnStatistics, settings: EncodingSettings) -> Self:
        """Fit how numbers are scaled, and the median of the sample."""
        numbers = statistics.numbers_of(cls.kind_name())
        center, scale, then = fit_scaling(numbers, statistics.sample, settings.scale)
        return cls(
            name=statistics.name,
            center=center,
            scale=scale,
            then=then,
            fill=median(statistics.sample),
            indicator=statistics.missing.count > 0,
        )

    def numbers(self, rows: Table, missing_values: tuple[str, ...]) -> np.ndarray:
        """Return float64 [rows], NaN where missing; CellError for one too large."""
        return numbers_in(rows, self.name, missing_values)

    def scaled(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Return the numbers [rows] that the network gets for known ones."""
        scaled = (numbers - self.center) / self.scale
        return [scaled if self.then is None else self.then.apply(scaled)]

    @property
    def num_slots(self) -> int:
        """The number, and the indicator."""
        return 1 + self.indicator

    @property
    def center_and_scale(self) -> tuple[float, float] | None:
        """The c and s where all that becomes of a number x in the data's units is (x - c) / s."""
        return (self.center, self.scale) if self.then is None else None

    @property
    def sampled(self) -> str | None:
        """What of its numbers is fitted to quantiles, which a stream takes from a sample."""
        uses = {"scaled": self.then is not None, "binned": self.edges is not None}
        return " and ".join(what for what, is_used in uses.items() if is_used) or None

    @property
    def numeric_input(self) -> NumericInput:
        """Its number, with its bins, if there are any."""
        return NumericInput(0, self.edges or ())

    def with_bins(self, sample: Sample, num_bins: int) -> Self:
        """Return it with bins of as many rows of the sample each, unless it has some."""
        if self.edges is not None:
            return self
        known = sample.take(np.flatnonzero(~np.isnan(sample.values)))
        scaled = replace(known, values=self.scaled(known.values)[0])
        return self.model_copy(update={"edges": bin_edges(scaled, num_bins)})

    def unscaled(self, numbers: np.ndarray) -> np.ndarray:
        """Return what the numbers [rows] of its first slot stand for in the data's units."""
        scaled = numbers.astype(np.float64)
        return (
            scaled if self.then is None else self.then.invert(scaled)
        ) * self.scale + self.center

    def cell_text(self, cell: object) -> str | None:
        """Return a cell's text: a whole number without a fraction, a long fraction rounded."""
        if isinstance(cell, float) and cell.is_integer() and abs(cell) < _MAX_WHOLE:
            return f"{cell:.0f}"
        text = super().cell_text(cell)
        is_long = text is not None and "." in text and len(text) > _MAX_DIGITS
        return f"{float(text):.6g}" if text is not None and is_long else text

    def encoding_in_short(self, settings: EncodingSettings) -> str:
        """Say how it is encoded, for the screen."""
        return settings.scale + self._and_bins + self._and_missing

    def encoding_in_full(self) -> str:
        """Say how it is encoded and with which numbers, for a page."""
        sign = "−" if self.center >= 0 else "+"
        scaled = f"(x {sign} {abs(self.center):.4g}) / {self.scale:.4g}"
        if self.then is not None:
            return self.then.in_words(scaled) + self._and_bins
        is_scaled = (self.center, self.scale) != (0.0, 1.0)
        return (scaled if is_scaled else "unscaled") + self._and_bins

    @property
    def _and_bins(self) -> str:
        if self.edges is None:
            return ""
        return f", {len(self.edges) - 1} bin{'s' * (len(self.edges) != 2)}"


class NumbersWithLogs:
    """The cells of numbers, with statistics of the logarithms of those above 0."""

    kind_name = NumericColumn.kind_name
    parse = NumericColumn.parse
    parse_as = NumericColumn.parse_as
    to_numbers = NumericColumn.to_numbers

    @classmethod
    def derive(cls, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the logarithms."""
        positive = np.where(numbers > 0, numbers, np.nan)
        return {"log": np.log(positive)}


def is_mixed(statistics: ColumnStatistics) -> bool:
    """Say whether text is mostly numbers: what the rest means, only its owner can settle."""
    numbers, known = statistics.cells_of(NumericColumn.kind_name()).count, statistics.num_known
    if not statistics.is_text or statistics.is_one_kind or statistics.code is not None:
        return False
    return (numbers + statistics.num_written_otherwise) / known >= _MOSTLY


def are_numbers(statistics: ColumnStatistics) -> bool:
    """Say whether all cells that are not missing are numbers, and none is a code."""
    num_numbers = statistics.cells_of(NumericColumn.kind_name()).count
    return num_numbers == statistics.num_known and statistics.code is None


def number_statistics(statistics: ColumnStatistics) -> RunningStatistics:
    """Return the statistics of the cells that are numbers."""
    return statistics.numbers_of(NumericColumn.kind_name())


def log_statistics(statistics: ColumnStatistics) -> RunningStatistics:
    """Return the statistics of the logarithms of numbers, which are above 0."""
    return statistics.derived_of(NumericColumn.kind_name())["log"]


def refuse_other(statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
    """Raise DataError where a cell is no number, or one that is too large for float32."""
    NumericColumn.refuse_other(statistics, use)


def refuse_mixed(statistics: ColumnStatistics, use: ColumnUse = FEATURE) -> None:
    """Raise DataError where text is mostly numbers."""
    if is_mixed(statistics):
        refuse_other(statistics, use)
