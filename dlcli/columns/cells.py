"""A column's cells as numbers, booleans, datetimes and labels.

The cells of a CSV file are text; those of a Parquet file have types. Both ways lead to the same
values. A missing value is null throughout.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import CellError
from dlcli.errors import DataError
from dlcli.tables.table import Table, more_rows

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


LARGEST = float(np.finfo(np.float32).max)
_INTEGER = r"^-?(0|[1-9][0-9]*)(\.0+)?$"


def has_encoding(dtype: pl.DataType) -> bool:
    """Say whether a type is one that anything can be made of: no lists, bytes, durations."""
    return not (
        dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Time, pl.Object, pl.Unknown)
    )


def read_cells(table: Table, name: str, missing_values: Sequence[str]) -> pl.Series:
    """Return a column with null for what is missing.

    Raises DataError where there is no such column, or where its type has no encoding.
    """
    cells = table.column(name)
    if not has_encoding(cells.dtype):
        raise DataError(
            f"{table.source}: column '{name}' is of type {cells.dtype}, which has no encoding; "
            "turn it into numbers or text, or name the columns to use in data.features"
        )
    if table.missing_values == tuple(missing_values):
        return cells
    return cells.to_frame().select(_cleaned(cells.dtype, name, missing_values)).to_series()


def clean(table: Table, missing_values: Sequence[str], *, as_text: Collection[str] = ()) -> Table:
    """Return the table with null for what is missing, so that its cells are read only once.

    Columns of text that are numbers throughout become numbers, but for those to be left `as_text`.
    """
    if table.missing_values == tuple(missing_values):
        return table
    numbers = _all_numbers(table.frame, as_text, missing_values)
    are_numbers = {column.name for column in numbers}
    frame = table.frame.with_columns(
        *numbers,
        *(
            _cleaned(dtype, name, missing_values)
            for name, dtype in table.frame.schema.items()
            if name not in are_numbers and has_encoding(dtype)
        ),
    )
    return replace(table, frame=frame, missing_values=tuple(missing_values))


def parse_numbers(cells: pl.Series) -> pl.Series:
    """Return Float64, null where a cell is no number, a date or a boolean among them."""
    if cells.dtype == pl.String or cells.dtype.is_numeric():
        numbers = cells.cast(pl.Float64, strict=False)
        has_nan = math.isnan(numbers.sum())  # rare, and cheaper to detect than to replace
        return numbers.fill_nan(None) if has_nan else numbers
    return _no_values(cells, pl.Float64())


def parse_booleans(cells: pl.Series) -> pl.Series:
    """Return Boolean, null where a cell is neither true nor false."""
    if cells.dtype == pl.Boolean:
        return cells
    if cells.dtype != pl.String:
        return _no_values(cells, pl.Boolean())
    lowered = cells.str.to_lowercase()
    known = lowered.is_in(["true", "false"])
    return (lowered == "true").set(~known.fill_null(False), None)


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


def parse_integers(cells: pl.Series) -> pl.Series:
    """Return text, null where a cell is no whole number: 7 for 7 and 7.0, of any length.

    Numbers with zeros in front (007) are codes, not numbers.
    """
    text = to_labels(cells)
    return text.set(~text.str.contains(_INTEGER).fill_null(False), None).str.replace(r"\.0+$", "")


def refuse_unparsed(
    table: Table, cells: pl.Series, parsed: pl.Series, expected: str, *, is_target: bool = False
) -> None:
    """Raise CellError where a cell holds something that could not be parsed."""
    if parsed.null_count() > cells.null_count():
        bad = (cells.is_not_null() & parsed.is_null()).arg_true()
        raise unparsed(
            cells.name,
            cells[bad[0]],
            table.place(bad[0]),
            expected,
            count=len(bad),
            is_target=is_target,
        )


def unparsed(
    name: str, cell: object, place: str, expected: str, *, count: int, is_target: bool = False
) -> CellError:
    """Return the error for `count` cells of a column that are not what is expected."""
    repair = "the text in data.missing_values" if isinstance(cell, str) else ""
    other = "another data.task" if is_target else f"data.kinds: {{{name}: categorical}}"
    repair += f" or {other}" if repair else other
    return CellError(
        f"{place}: column '{name}' has {cell!r} where {expected} is expected{more_rows(count)}",
        f"correct the file, or train with {repair}",
    )


def float32_overflow_error(name: str, cell: object, place: str) -> CellError:
    """Return the error for a number of a column that float32 can't hold."""
    return CellError(
        f"{place}: column '{name}' has {cell}, too large for float32",
        "correct it, or remove the row",
    )


def numbers_in(
    table: Table, name: str, missing_values: Sequence[str], *, is_target: bool = False
) -> np.ndarray:
    """Return a column as float64 [rows], NaN where missing.

    Raises CellError with the line of a cell that is not a number, or is too large for float32.
    """
    cells = read_cells(table, name, missing_values)
    numbers = parse_numbers(cells)
    refuse_unparsed(table, cells, numbers, "a number", is_target=is_target)
    values = numbers.to_numpy()
    beyond = np.flatnonzero(np.abs(values) > LARGEST)
    if len(beyond):
        first = int(beyond[0])
        raise float32_overflow_error(name, cells[first], table.place(first))
    return values


def _all_numbers(
    frame: pl.DataFrame, as_text: Collection[str], missing_values: Sequence[str]
) -> list[pl.Series]:
    """Return the columns of text in which every cell is a number that fits float32."""
    if parse_numbers(pl.Series(missing_values, dtype=pl.String)).count():
        return []  # a number may mean that there is none
    text = [item for item in frame if item.dtype == pl.String and item.name not in as_text]
    numbers = pl.DataFrame(text).select(pl.all().cast(pl.Float64, strict=False))
    sound = numbers.select((pl.all().abs() <= LARGEST).all(ignore_nulls=False).fill_null(False))
    columns = zip(numbers.get_columns(), sound.get_columns(), strict=True)
    return [column for column, is_sound in columns if is_sound[0]]


def _cleaned(dtype: pl.DataType, name: str, missing_values: Sequence[str]) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():
        return column.fill_nan(None)
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    text = column.cast(pl.String).str.strip_chars()
    if not missing_values:
        return text
    return pl.when(text.is_in(list(missing_values))).then(None).otherwise(text).alias(name)


def _no_values(cells: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(cells.name, [], dtype=dtype).clear(len(cells))
