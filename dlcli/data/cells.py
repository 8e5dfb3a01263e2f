"""What stands in a column: its cells as numbers, as moments, as true and false, as labels.

The cells of a CSV file are text; those of a Parquet file have types. Both ways lead to the same
values. A missing value is null throughout.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from dlcli.data.table import Table
from dlcli.errors import DataError

_MOMENT_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
)


def read_cells(table: Table, name: str, missing_values: Sequence[str]) -> pl.Series:
    """Return a column with null for what is missing."""
    cells = table.column(name)
    if isinstance(cells.dtype, pl.Categorical | pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.String:
        text = cells.str.strip_chars()
        absent = text.is_in(list(missing_values)) if missing_values else None
        return text if absent is None else text.set(absent.fill_null(True), None)
    return cells.fill_nan(None) if cells.dtype.is_float() else cells


def parse_numbers(cells: pl.Series) -> pl.Series:
    """Return Float64, null where a cell is no number."""
    return cells.cast(pl.Float64, strict=False)


def parse_booleans(cells: pl.Series) -> pl.Series:
    """Return Boolean, null where a cell is neither true nor false."""
    if cells.dtype == pl.Boolean:
        return cells
    lowered = cells.cast(pl.String).str.to_lowercase()
    known = lowered.is_in(["true", "false"])
    return (lowered == "true").set(~known.fill_null(False), None)


def parse_moments(cells: pl.Series) -> pl.Series:
    """Return Datetime in UTC, null where a cell is no ISO 8601 date or date and time."""
    if cells.dtype == pl.Date:
        return cells.cast(pl.Datetime("us"))
    if isinstance(cells.dtype, pl.Datetime):
        zoned = cells.dt.convert_time_zone("UTC") if cells.dtype.time_zone else cells
        return zoned.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    text = cells.cast(pl.String)
    found = pl.Series(cells.name, [None] * len(text), dtype=pl.Datetime("us"))
    for layout in _MOMENT_FORMATS:
        if text.null_count() == len(text):
            break
        moments = text.str.to_datetime(layout, time_unit="us", strict=False)
        if moments.dtype.time_zone:  # type: ignore[attr-defined]
            moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        found = found.zip_with(found.is_not_null(), moments)
        text = text.set(moments.is_not_null(), None)
    return found


def to_labels(cells: pl.Series) -> pl.Series:
    """Return text: a whole number without a point, true and false in lower case."""
    if cells.dtype == pl.Boolean:
        return pl.Series(cells.name, np.where(cells.fill_null(False), "true", "false")).set(
            cells.is_null(), None
        )
    if cells.dtype.is_float():
        whole = cells.cast(pl.Int64, strict=False)
        return whole.cast(pl.String).zip_with(whole == cells, cells.cast(pl.String))
    return cells.cast(pl.String)


def refuse_unparsed(table: Table, cells: pl.Series, parsed: pl.Series, wanted: str) -> None:
    """Raise DataError where a cell holds something that could not be parsed."""
    bad = (cells.is_not_null() & parsed.is_null()).arg_true()
    if len(bad):
        more = f", and {len(bad) - 1} more such rows" if len(bad) > 1 else ""
        raise DataError(
            f"{table.place(bad[0])}: column '{cells.name}' holds {cells[bad[0]]!r} where {wanted} "
            f"is wanted{more}; mend the file, list the text in data.missing_values, or set "
            f"data.kinds: {{{cells.name}: categorical}}"
        )


def numbers_in(table: Table, name: str, missing_values: Sequence[str]) -> np.ndarray:
    """Return a column as float64 [rows], NaN where missing.

    Raises DataError with the line of a cell that is not a finite number.
    """
    cells = read_cells(table, name, missing_values)
    numbers = parse_numbers(cells)
    refuse_unparsed(table, cells, numbers, "a number")
    endless = numbers.is_infinite().fill_null(False).arg_true()
    if len(endless):
        raise DataError(f"{table.place(endless[0])}: column '{name}' is not finite")
    return numbers.to_numpy()
