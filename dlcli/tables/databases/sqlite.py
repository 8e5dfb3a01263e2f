"""SQLite, by Python's own library.

A column of a database has no type there, each of its cells has: so all rows are looked at before
they are copied. Whole numbers and fractions become numbers; a column with any text becomes text.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from dlcli.errors import DataError

_ROWS = 2**16
_MAX_SHOWN = 10  # tables that a message names


def copy_sqlite(file: str, query: str, copy: Path) -> None:
    """Write the rows of a query to an Arrow file; DataError where it can't be answered."""
    _refuse_cut(Path(file))
    try:
        with closing(_connect(file)) as connection:
            connection.execute("BEGIN")  # both passes read the same rows
            names = _names(connection, query, file)
            schema = pl.Schema(_schema(connection, query, names, file))

            def frames(*_: object) -> Iterator[pl.DataFrame]:
                for rows in _blocks(connection, query):
                    columns = zip(*rows, strict=True)
                    yield pl.DataFrame(
                        [
                            pl.Series(name, _cells(cells, dtype), dtype=dtype)
                            for (name, dtype), cells in zip(schema.items(), columns, strict=True)
                        ]
                    )

            _write(frames, schema, copy)
    except (sqlite3.Error, UnicodeError) as error:  # names of columns may be no text
        raise DataError(f"{file}: the query can't be answered: {error}") from None


def tables_of(file: str) -> str:
    """Return the names of a database's tables and views, as a message lists them."""
    found = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    try:
        with closing(_connect(file)) as connection:
            names = [str(name) for (name,) in connection.execute(found)]
    except (sqlite3.Error, UnicodeError):
        return "none that can be read"
    more = ", …" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more or "none"


def _connect(file: str) -> sqlite3.Connection:
    """Open a database for reading only."""
    address = f"{Path(file).absolute().as_uri()}?mode=ro"
    # polars writes on a thread of its own, one block after the other.
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _refuse_cut(file: Path) -> None:
    """Raise DataError for a database without its end, whose cells SQLite would read as zeros.

    The file's header has the size of a page and, where its two counts of changes agree, the number
    of pages; those of a database in WAL mode may lie in another file.
    """
    with file.open("rb") as opened:
        head = opened.read(100)
    page = int.from_bytes(head[16:18]) or 1
    page = 65536 if page == 1 else page
    is_known = head[24:28] == head[92:96] and not file.with_name(f"{file.name}-wal").exists()
    expected = page * int.from_bytes(head[28:32])
    if len(head) < 100 or (is_known and file.stat().st_size < expected):
        raise DataError(f"{file}: damaged: it is cut off before its end; copy it anew")


def _names(connection: sqlite3.Connection, query: str, file: str) -> list[str]:
    description = connection.execute(query).description
    if description is None:
        raise DataError(f"{file}: data.query returns no rows; write a SELECT")
    names = [column[0] for column in description]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(
            f"{file}: two columns of data.query are named '{twice[0]}'; rename one with AS"
        )
    return names


def _blocks(connection: sqlite3.Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    cursor = connection.execute(query)
    while rows := cursor.fetchmany(_ROWS):
        yield rows


def _schema(
    connection: sqlite3.Connection, query: str, names: list[str], file: str
) -> dict[str, pl.DataType]:
    """Return a type for each column that holds all of its cells without loss."""
    types: list[set[type]] = [set() for _ in names]
    inexact = [False] * len(names)
    for rows in _blocks(connection, query):
        for index, cells in enumerate(zip(*rows, strict=True)):
            types[index].update(map(type, cells))
            if int in types[index] and not inexact[index]:
                inexact[index] = any(isinstance(n, int) and int(float(n)) != n for n in cells)
    return {
        name: _type_of(kinds - {type(None)}, name, is_inexact=is_inexact, file=file)
        for name, kinds, is_inexact in zip(names, types, inexact, strict=True)
    }


def _type_of(kinds: set[type], name: str, *, is_inexact: bool, file: str) -> pl.DataType:
    if kinds == {bytes}:
        return pl.Binary()
    if bytes in kinds:
        raise DataError(
            f"{file}: column '{name}' has bytes beside other cells; CAST it in the query"
        )
    if kinds == {int}:
        return pl.Int64()
    if kinds and kinds <= {int, float} and not is_inexact:
        return pl.Float64()
    return pl.String()


def _cells(cells: tuple[Any, ...], dtype: pl.DataType) -> list[Any]:
    """Return cells of a column's type: numbers among text as text."""
    if dtype == pl.String:
        return [cell if cell is None or isinstance(cell, str) else repr(cell) for cell in cells]
    if dtype == pl.Float64:
        return [None if cell is None else float(cell) for cell in cells]
    return list(cells)


def _write(frames: Any, schema: pl.Schema, copy: Path) -> None:  # noqa: ANN401 - polars calls it
    raised: list[Exception] = []

    def pull(*arguments: object) -> Iterator[pl.DataFrame]:
        try:
            yield from frames(*arguments)
        except Exception as error:
            raised.append(error)  # polars would pass on its text only
            raise

    try:
        register_io_source(pull, schema=schema).sink_ipc(copy)
    except pl.exceptions.PolarsError:
        if raised:
            raise raised[0] from None
        raise
