"""Cells as numbers, booleans and datetimes; null where a cell is missing or is something else."""

import math

import numpy as np
import polars as pl

LARGEST = float(np.finfo(np.float32).max)
_DATE_FIRST = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATETIME_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
)


def has_encoding(dtype: pl.DataType) -> bool:
    """Say whether a type is one that anything can be made of: no lists, bytes, durations."""
    return not (
        dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Time, pl.Object, pl.Unknown)
    )


def parse_numbers(cells: pl.Series) -> pl.Series:
    """Return Float64, null where a cell is no number, a date or a boolean among them."""
    if cells.dtype == pl.String or cells.dtype.is_numeric():
        numbers = cells.cast(pl.Float64, strict=False)
        has_nan = math.isnan(numbers.sum())  # rare, and cheaper to detect than to replace
        return numbers.fill_nan(None) if has_nan else numbers
    return _no_values(cells, pl.Float64())


def parse_booleans(cells: pl.Series, *, accepts_digits: bool = False) -> pl.Series:
    """Return Boolean, null where a cell is neither true nor false.

    `accepts_digits`: the numbers 1 and 0 are true and false, as in a column that is boolean.
    """
    if cells.dtype == pl.Boolean:
        return cells
    found = _no_values(cells, pl.Boolean())
    if cells.dtype == pl.String:
        lowered = cells.str.to_lowercase()
        known = lowered.is_in(["true", "false"])
        found = (lowered == "true").set(~known.fill_null(False), None)
    if accepts_digits and found.null_count() > cells.null_count():
        numbers = parse_numbers(cells)
        is_digit = ((numbers == 0) | (numbers == 1)).fill_null(value=False)
        found = (numbers == 1).zip_with(is_digit, found)
    return found


def parse_datetimes(cells: pl.Series) -> pl.Series:
    """Return Datetime in UTC, null where a cell is no ISO 8601 date or date and time."""
    if cells.dtype == pl.Date:
        return cells.cast(pl.Datetime("us"))
    if isinstance(cells.dtype, pl.Datetime):
        zoned = cells.dt.convert_time_zone("UTC") if cells.dtype.time_zone else cells
        return zoned.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    found = _no_values(cells, pl.Datetime("us"))
    if cells.dtype != pl.String:
        return found
    # Cell by cell: whether one is a date must not depend on those that are read with it.
    is_dated = cells.str.contains(_DATE_FIRST).fill_null(value=False)
    if not is_dated.any():
        return found
    text = cells.set(~is_dated, None)
    for layout in _DATETIME_FORMATS:
        if text.null_count() == len(text):
            break
        parsed = text.str.to_datetime(layout, time_unit="us", strict=False)
        if parsed.dtype.time_zone:  # type: ignore[attr-defined]
            parsed = parsed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        found = found.zip_with(found.is_not_null(), parsed)
        text = text.set(parsed.is_not_null(), None)
    return found


def to_seconds(datetimes: pl.Series) -> np.ndarray:
    """Return seconds since 1970 UTC, float64 [rows], NaN where null."""
    return (datetimes.dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()


def _no_values(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(cells.name, [], dtype=dtype).clear(len(cells))
