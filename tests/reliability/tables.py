"""Tables of every form, changed at random: `python -m tests.reliability.tables 50000 [SEED]`.

A table is written in one form, by another program where there is one; then cells are made awkward,
or bytes of the file are changed, or its end is cut off. dlcli must read it or refuse it with an
error of its own. Where only cells were changed, every number that is read must be the one that was
written; where the end is missing, no number may be another, and a form that knows its end must be
refused. What is wrong is printed as JSON, a line each.
"""

import csv
import gzip
import io
import json
import random
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import xlsxwriter
from backports import zstd

from dlcli.columns.cells.reading import clean
from dlcli.config.sections.data import MISSING_VALUES
from dlcli.errors import DlcliError
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Selection, find_source
from tests.reliability.outcomes import report_outcomes

Cell = str | float | None
Rows = list[list[Cell]]

NAMES = ["x", "y", "name", "day"]
AWKWARD = [
    *("1,5", "1.234,5", "1_000", "0x10", "1e400", "-1e-400", "NaN", "inf", "٣", "½", "−1", "+1"),
    *("007", "1.50", "1E5", "12 %", "$3", "", " ", " 7 ", "NA", "a", 'say "hi"', "l1\nl2", "#N/A"),
    *("=1+1", "True", "2024-02-30", "31/12/2024", "\ufeff", "\x00", "a;b", "a\tb", "'", "é", "\r"),
    *("null", "-", "--", "1.2.3", "1 000", "9007199254740993", "0.1234567890123456", "1e-5"),
]
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_KNOWS_ITS_END = ("gzip", "zstd", "parquet", "arrow", "excel", "sqlite")
_QUERY = Selection(query="SELECT * FROM t ORDER BY rowid")


@dataclass(frozen=True)
class Wrong:
    """What dlcli did with a table, and must not do."""

    number: int  # of the table: with the seed, it makes it again
    form: str
    change: str
    what: str


def make_rows(draw: random.Random) -> Rows:
    """Return rows of a number, a whole number, a name and a day, some of them missing."""
    rows: Rows = []
    for _ in range(draw.randint(1, 12)):
        number = float(f"{draw.uniform(-1e3, 1e3):.{draw.randint(1, 12)}g}")
        day = f"20{draw.randint(10, 30)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
        row: list[Cell] = [number, float(draw.randint(-99, 99)), draw.choice(["a", "b c"]), day]
        rows.append([None if draw.random() < 0.05 else cell for cell in row])
    return rows


def _text(cell: Cell) -> str:
    return "" if cell is None else repr(cell) if isinstance(cell, float) else cell


def _delimited(rows: Rows, separator: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(NAMES)
    writer.writerows([_text(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _frame(rows: Rows) -> pl.DataFrame:
    """Return a column of numbers where all cells are, else of text."""
    columns = {}
    for name, cells in zip(NAMES, zip(*rows, strict=True), strict=True):
        are_numbers = all(cell is None or isinstance(cell, float) for cell in cells)
        texts = [None if cell is None else _text(cell) for cell in cells]
        columns[name] = pl.Series(
            list(cells) if are_numbers else texts, dtype=pl.Float64 if are_numbers else pl.String
        )
    return pl.DataFrame(columns)


def _parquet(rows: Rows) -> bytes:
    written = io.BytesIO()
    _frame(rows).write_parquet(written)
    return written.getvalue()


def _arrow(rows: Rows) -> bytes:
    written = io.BytesIO()
    _frame(rows).write_ipc(written)
    return written.getvalue()


def _json_lines(rows: Rows) -> bytes:
    lines = (json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows)
    return "\n".join(lines).encode()


def _excel(rows: Rows) -> bytes:
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, NAMES)
        for index, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, float):
                    sheet.write_number(index, column, cell)
                elif cell is not None:
                    sheet.write_string(index, column, cell)
    return written.getvalue()


def _sqlite(rows: Rows) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(NAMES)})")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.commit()
        return connection.serialize()


FORMS: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "csv": ("t.csv", lambda rows: _delimited(rows, ",")),
    "semicolons": ("t.csv", lambda rows: _delimited(rows, ";")),
    "tsv": ("t.tsv", lambda rows: _delimited(rows, "\t")),
    "gzip": ("t.csv", lambda rows: gzip.compress(_delimited(rows, ","), mtime=0)),
    "zstd": ("t.csv.zst", lambda rows: zstd.compress(_delimited(rows, ","))),
    "parquet": ("t.parquet", _parquet),
    "arrow": ("t.feather", _arrow),
    "json": ("t.jsonl", _json_lines),
    "excel": ("t.xlsx", _excel),
    "sqlite": ("t.sqlite", _sqlite),
}


def change_cells(rows: Rows, draw: random.Random) -> None:
    """Make some cells awkward."""
    for _ in range(draw.randint(1, 3)):
        draw.choice(rows)[draw.randrange(len(NAMES))] = draw.choice(AWKWARD)


def change_bytes(data: bytes, draw: random.Random) -> bytes:
    """Change, insert, drop or repeat some bytes."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(changed) + 1)
        match draw.randrange(4):
            case 0:
                changed[place : place + 1] = bytes([draw.randrange(256)])
            case 1:
                changed[place:place] = draw.randbytes(draw.randint(1, 4))
            case 2:
                del changed[place : place + draw.randint(1, 8)]
            case _:
                changed[place:place] = changed[place : place + draw.randint(1, 40)]
    return bytes(changed)


def try_tables(num_tables: int, seed: int, folder: Path) -> Iterator[Wrong | str]:
    """Yield for each table what is wrong with it, or how it went."""
    for number in range(num_tables):
        draw = random.Random(f"{seed} {number}")
        form = draw.choice(list(FORMS))
        change = draw.choice(["cells", "bytes", "cut"])
        name, write = FORMS[form]
        rows = make_rows(draw)
        if change == "cells":
            change_cells(rows, draw)
        try:
            data = write(rows)
        except (UnicodeError, ValueError):  # such a cell can't be written in that form
            continue
        if change == "bytes":
            data = change_bytes(data, draw)
        elif change == "cut":
            data = data[: draw.randrange(len(data))]
        (folder / name).write_bytes(data)
        selection = _QUERY if form == "sqlite" else Selection()
        wrong = _judge(folder / name, selection, form, change, rows)
        yield wrong if wrong == "read" or wrong == "refused" else Wrong(number, form, change, wrong)


def _judge(file: Path, selection: Selection, form: str, change: str, rows: Rows) -> str:
    try:
        source = find_source(str(file), selection=selection)
        table = clean(read_table(source), MISSING_VALUES)
        columns = {name: table.column(name) for name in table.frame.columns}
    except DlcliError as error:
        return "refused" if str(error) else "refused without words"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    if change == "bytes":
        return "read"
    if change == "cut" and form in _KNOWS_ITS_END:
        return f"{len(table)} rows read of a file without its end"
    is_said = table.dialect is not None and table.dialect.note() is not None
    return _other_numbers(columns, rows, is_cut=change == "cut", is_said=is_said) or "read"


def _other_numbers(
    columns: dict[str, pl.Series], rows: Rows, *, is_cut: bool, is_said: bool
) -> str | None:
    """Say where a number isn't the one that was written.

    If it `is_said`, the file may be read as one with points between thousands: where all of its
    numbers allow that, and some allow nothing else.
    """
    for index, name in enumerate(NAMES):
        cells = columns.get(name)
        if cells is None or not cells.dtype.is_numeric():
            continue
        written = [row[index] for row in rows]
        if is_cut:
            written = written[: max(0, len(cells) - 1)]  # of the last row, a number may be cut
        for found, cell in zip(cells.to_list(), written, strict=False):
            is_grouped = is_said and isinstance(cell, float) and _text(cell).count(".") == 1
            if is_grouped and found == float(_text(cell).replace(".", "")):
                continue
            if found is not None and not _is_same(found, cell):
                return f"{name}: {found!r} read, {cell!r} written"
            if found is None and isinstance(cell, float):
                return f"{name}: nothing read, {cell!r} written"
    return None


def _is_same(found: float, cell: Cell) -> bool:
    if isinstance(cell, float):
        return found == cell
    text = (cell or "").strip()
    if _NUMBER.fullmatch(text):
        return found == float(text)
    # With a comma for a decimal point, or a point between thousands: recognised, and said.
    plain = text.replace(".", "").replace(",", ".") if "," in text else text.replace(" ", "")
    return bool(_NUMBER.fullmatch(plain)) and found == float(plain)


if __name__ == "__main__":
    sys.exit(report_outcomes(try_tables, sys.argv[1:]))
