"""Reading a table's columns: null for what is missing, numbers, errors with the cell's place."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dlcli.columns.bad_cells import CellError
from dlcli.columns.cells.codes import find_codes
from dlcli.columns.cells.missing import (
    MissingValues,
    blank_out,
    missing_values_of,
    without_texts,
)
from dlcli.columns.cells.repairs import FEATURE, ColumnUse, is_written_otherwise, repair_of
from dlcli.columns.cells.values import LARGEST, has_encoding, parse_numbers
from dlcli.errors import DataError
from dlcli.tables.lists import are_labels, lists_to_text
from dlcli.tables.table import Table, more_rows


def read_cells(
    table: Table, name: str, missing_values: Sequence[str], *, takes_lists: bool = False
) -> pl.Series:
    """Return a column with null for what is missing; lists of labels as text, if it takes them.

    Raises DataError where there is no such column, or where its type has no encoding.
    """
    cells = table.plainly().column(name)
    if takes_lists and are_labels(cells.dtype):
        return lists_to_text(cells)
    if not has_encoding(cells.dtype):
        raise DataError(
            f"{table.source}: column '{name}' is of type {cells.dtype}, which has no encoding; "
            "turn it into numbers or text, or name the columns to use in data.features"
        )
    if table.missing_values == tuple(missing_values):
        return cells
    missing = missing_values_of(tuple(missing_values))
    cells = cells.to_frame().select(_stripped(cells.dtype, name)).to_series()
    cells = without_texts(cells, missing)
    return blank_out(cells, missing) if missing.have_types else cells


def clean(table: Table, missing_values: Sequence[str], *, as_text: Collection[str] = ()) -> Table:
    """Return the table with null for what is missing, so that its cells are read only once.

    Columns of text that are numbers throughout become numbers, but for those to be left `as_text`.
    """
    if table.missing_values == tuple(missing_values):
        return table
    table = table.plainly()
    missing = missing_values_of(tuple(missing_values))
    numbers = _all_numbers(table, as_text, missing)
    are_numbers = {column.name for column in numbers}
    schema = table.frame.schema
    others = [name for name in schema if name not in are_numbers and has_encoding(schema[name])]
    frame = table.frame.with_columns(*numbers, *(_stripped(schema[name], name) for name in others))
    frame = frame.with_columns(without_texts(frame[name], missing) for name in others)
    if missing.have_types:
        frame = frame.with_columns(blank_out(frame[name], missing) for name in others)
    return replace(table, frame=frame, missing_values=missing.texts)


def refuse_unparsed(
    table: Table, cells: pl.Series, parsed: pl.Series, expected: str, use: ColumnUse = FEATURE
) -> None:
    """Raise CellError where a cell holds something that could not be parsed."""
    if parsed.null_count() > cells.null_count():
        bad = (cells.is_not_null() & parsed.is_null()).arg_true()
        place, cell = table.place(bad[0]), cells[bad[0]]
        raise unparsed(cells.name, cell, place, expected, count=len(bad), use=use)


def unparsed(
    name: str, cell: object, place: str, expected: str, *, count: int, use: ColumnUse
) -> CellError:
    """Return the error for `count` cells of a column that are not what is expected."""
    return CellError(
        f"{place}: column '{name}' has {cell!r} where {expected} is expected{more_rows(count)}",
        repair_of(name, cell, use),
        new_file="say how a text file writes numbers, as in --set 'data.decimal=\",\"'"
        if is_written_otherwise(cell)
        else "correct the file",
    )


def float32_overflow_error(name: str, cell: object, place: str) -> CellError:
    """Return the error for a number of a column that float32 can't hold."""
    return CellError(
        f"{place}: column '{name}' has {cell}, too large for float32",
        "correct it, or remove the row",
    )


def numbers_in(
    table: Table, name: str, missing_values: Sequence[str], use: ColumnUse = FEATURE
) -> np.ndarray:
    """Return a column as float64 [rows], NaN where missing.

    Raises CellError with the line of a cell that is not a number, or is too large for float32.
    """
    cells = read_cells(table, name, missing_values)
    numbers = parse_numbers(cells)
    refuse_unparsed(table, cells, numbers, "a number", use)
    values = numbers.to_numpy()
    beyond = np.flatnonzero(np.abs(values) > LARGEST)
    if len(beyond):
        first = int(beyond[0])
        raise float32_overflow_error(name, cells[first], table.place(first))
    return values


def _all_numbers(table: Table, as_text: Collection[str], missing: MissingValues) -> list[pl.Series]:
    """Return the columns of text in which every cell is a number that fits float32, and no code."""
    if missing.numbers:
        return []  # a number may mean that there is none
    text = [item for item in table.frame if item.dtype == pl.String and item.name not in as_text]
    numbers = pl.DataFrame(text).select(pl.all().cast(pl.Float64, strict=False))
    sound = numbers.select((pl.all().abs() <= LARGEST).all(ignore_nulls=False).fill_null(False))
    return [
        numbers[column.name]
        for column in sound
        if column[0]
        and find_codes(table.frame[column.name], has_exponents=table.has_exponents) is None
    ]


def _stripped(dtype: pl.DataType, name: str) -> pl.Expr:
    """Return a column, text without spaces around it, null for NaN."""
    column = pl.col(name)
    if dtype.is_float():
        return column.fill_nan(None)
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    return column.cast(pl.String).str.strip_chars()
