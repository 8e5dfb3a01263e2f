"""The tables of several files → one table: columns in the same order, of the same types."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from dlcli.errors import DataError
from dlcli.tables.sources import Part, Source
from dlcli.tables.table import Table, number_in

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_MAX_SHOWN = 5  # columns that a message names


def combine(
    source: Source, tables: Iterator[tuple[int, Table]], schema: pl.Schema | None
) -> Iterator[Table]:
    """Yield the tables of a source's files, each with its file's index, as blocks of one table.

    `schema` is what typed columns become. Blocks without rows are left out, but for one where there
    are none with rows. DataError where columns differ.
    """
    files = tuple(part.name for part in source.parts)
    first: Table | None = None
    without_rows: Table | None = None
    has_rows = False
    for index, found in tables:
        table = _with_partition(found, source.parts[index])
        first = first or table
        frame = _in_order(table, first)
        if schema is not None:
            frame = _cast(frame, schema, table)
        table = table.of_rows(frame, number_in(index, table.numbers))
        notes = (*table.notes, *_notes_on(table, first))
        table = replace(table, source=source.name, files=files, written=first.written, notes=notes)
        if len(table):
            has_rows = True
            yield table
        without_rows = without_rows or table
    if without_rows is not None and not has_rows:
        yield without_rows


def common_schema(schemas: Sequence[tuple[str, pl.Schema]]) -> pl.Schema:
    """Return types that hold the cells of all files, each given with its name, without loss.

    DataError where there is none for a column.
    """
    common: dict[str, pl.DataType] = {}
    came_from: dict[str, str] = {}
    for file, schema in schemas:
        for name, dtype in schema.items():
            before = common.setdefault(name, dtype)
            came_from.setdefault(name, file)
            if dtype in (before, pl.Null):
                continue
            both = _common_type(before, dtype)
            if both is None:
                raise DataError(
                    f"{file}: column '{name}' is of type {dtype}, but {before} in "
                    f"{came_from[name]}; write it alike in all files"
                )
            if both != before:
                common[name], came_from[name] = both, file
    return pl.Schema(common)


def _common_type(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    if one == pl.Null:
        return other
    if one in _TEXT and other in _TEXT:
        return pl.String()
    are_numbers = one.is_numeric() and other.is_numeric()
    are_datetimes = (
        isinstance(one, (pl.Date, pl.Datetime))
        and isinstance(other, (pl.Date, pl.Datetime))
        and getattr(one, "time_zone", None) == getattr(other, "time_zone", None)
    )
    if are_datetimes:
        zone = getattr(one, "time_zone", None)
        return pl.Datetime("us", zone)
    if not are_numbers:
        return None
    if one.is_float() or other.is_float() or one.is_decimal() or other.is_decimal():
        return pl.Float64()
    return pl.Int64() if pl.UInt64 not in (one, other) else pl.Int128()


def _notes_on(table: Table, first: Table) -> Iterator[str]:
    """Say how a file is written where it is written otherwise than the first one."""
    if table.dialect is not None and first.dialect is not None:
        words = table.dialect.note()
        if words != first.dialect.note():
            yield f"{table.source}: {words or 'a plain CSV file'}"


def _with_partition(table: Table, part: Part) -> Table:
    """Return the table with the columns that its folders' names hold, as text.

    DataError where the file has such a column already, with other cells.
    """
    frame = table.frame
    for name, value in part.partition:
        if name in frame.columns:
            other = frame[name].cast(pl.String).ne_missing(pl.Series([value], dtype=pl.String))
            if other.any():
                row = int(other.arg_true()[0])
                raise DataError(
                    f"{table.place(row)}: column '{name}' has {frame[name][row]!r}, but the folder "
                    f"is named {name}={value}; leave the column out of the file"
                )
        else:
            frame = frame.with_columns(pl.lit(value, pl.String).alias(name))
    return table.of_rows(frame, table.numbers)


def _in_order(table: Table, first: Table) -> pl.DataFrame:
    """Return the columns in the order of the first file; DataError where there are others."""
    names, expected = table.frame.columns, first.frame.columns
    if names == expected:
        return table.frame
    differences = [
        f"{word} {_listed(columns)}"
        for word, columns in (
            ("lacks", [name for name in expected if name not in names]),
            ("also has", [name for name in names if name not in expected]),
        )
        if columns
    ]
    if differences:
        raise DataError(
            f"{table.source}: not the columns of {first.source}: it {' and '.join(differences)}; "
            "write the same columns in all files, or name files that have them"
        )
    return table.frame.select(expected)


def _listed(columns: list[str]) -> str:
    more = f" and {len(columns) - _MAX_SHOWN} more" if len(columns) > _MAX_SHOWN else ""
    return ", ".join(f"'{name}'" for name in columns[:_MAX_SHOWN]) + more


def _cast(frame: pl.DataFrame, schema: pl.Schema, table: Table) -> pl.DataFrame:
    """Return the columns as the types that all files have in common.

    DataError for a whole number so large that its neighbours would be taken for it.
    """
    for name, dtype in frame.schema.items():
        wanted = schema.get(name, dtype)
        if dtype == wanted:
            continue
        cells = frame[name].cast(wanted)
        if dtype.is_integer() and wanted.is_float():
            is_other = (cells.cast(dtype, strict=False) != frame[name]).fill_null(False)
            if is_other.any():
                row = int(is_other.arg_true()[0])
                raise DataError(
                    f"{table.place(row)}: column '{name}' has {frame[name][row]}, which is not "
                    "exact among the fractions of other files; write it alike in all files"
                )
        frame = frame.with_columns(cells)
    return frame
