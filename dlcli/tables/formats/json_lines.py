"""JSON Lines: an object on each line.

Its cells are text, as a CSV file's are: whether a column is numbers throughout, no line knows.
Numbers keep the digits that they are written with, unless these have an exponent: what may be a
code in text (1E5) is a number here.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.compression import ByteStream
from dlcli.tables.formats.base import BlockSize, Content, Format
from dlcli.tables.table import Table

_MAX_LINE_BYTES = 64 * 2**20
_BYTES_AROUND_CELL = 6  # quotes, a colon, a comma


class JsonLinesFormat(Format):
    """An object on each line: its keys are columns, its values cells."""

    name = "a JSON Lines file"
    suffixes = (".jsonl", ".ndjson")
    is_stream = True
    is_typed = False

    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Yield the rows in order, every cell as text, null where there is none.

        The columns are the keys of the first block's objects. DataError for a line that is no
        object, and for a key that comes later.
        """
        columns: dict[str, None] | None = None
        for first_line, lines in _line_blocks(content, size.num_bytes):
            rows, numbers = _parse(lines, first_line, content.name)
            if not rows:
                continue
            if columns is None:
                columns = {key: None for row in rows for key in row}
                if not columns:
                    raise DataError(f"{content.name}, line {numbers[0]}: an object without keys")
            yield _table(rows, numbers, columns, content.name)
        if columns is None:
            raise DataError(f"{content.name}: the file is empty; its lines must be JSON objects")

    def bytes_around(self, columns: list[str]) -> int:
        """Return what a row takes beside its cells: its keys among others."""
        return sum(len(name) + _BYTES_AROUND_CELL for name in columns) + 2


def _line_blocks(content: Content, num_bytes: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield whole lines, and the number of the first of them."""
    line, held = 1, b""
    stream: ByteStream = content.stream
    while more := stream.read(num_bytes):
        whole, newline, rest = more.rpartition(b"\n")
        if newline:
            lines = (held + whole).split(b"\n")
            yield line, lines
            line += len(lines)
            held = rest
        else:
            held += more
            if len(held) > _MAX_LINE_BYTES:
                raise DataError(f"{content.name}, line {line}: longer than 64 MiB")
    yield line, [held]


def _parse(
    lines: list[bytes], first_line: int, source: str
) -> tuple[list[dict[str, str | None]], list[int]]:
    """Return each line's cells, by key, and its number; blank lines are left out."""
    rows: list[dict[str, str | None]] = []
    numbers = []
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            found = _DECODER.decode(text)
            cells = _cells(found, text) if isinstance(found, dict) else None
        except UnicodeDecodeError:
            raise DataError(
                f"{source}, line {number}: not UTF-8 text; save the file as UTF-8"
            ) from None
        except (json.JSONDecodeError, _TwiceError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(
                f"{source}, line {number}: not a JSON object: {reason}{_hint(line)}"
            ) from None
        except RecursionError:
            raise DataError(f"{source}, line {number}: nested too deeply") from None
        if cells is None:
            raise DataError(f"{source}, line {number}: not a JSON object{_hint(line)}")
        rows.append(cells)
        numbers.append(number)
    return rows, numbers


def _hint(line: bytes) -> str:
    if line.lstrip().startswith((b"[", b"{")):
        return "; each row must be an object on a line of its own, as `jq -c '.[]'` writes an array"
    return '; each line must be an object, as in {"x": 1.5, "label": "a"}'


def _table(
    rows: list[dict[str, str | None]], numbers: list[int], columns: dict[str, None], source: str
) -> Table:
    for row, number in zip(rows, numbers, strict=True):
        if not row.keys() <= columns.keys():
            added = next(key for key in row if key not in columns)
            raise DataError(
                f"{source}, line {number}: has the key '{added}', which none of the first objects "
                "has; give it to the first object too, as null"
            )
    cells = {name: [row.get(name) for row in rows] for name in columns}
    frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
    return Table.read(frame, source, np.array(numbers, np.int64), "line")


def _cells(found: dict[str, Any], text: str) -> dict[str, str | None]:
    """Return an object's values as text: lists and objects as JSON, from its text."""
    cells: dict[str, str | None] = {}
    for key, value in found.items():
        match value:
            case None | str():
                cells[key] = value
            case bool():
                cells[key] = "true" if value else "false"
            case _:  # once more, as numbers within can't be told from text in `found`
                cells[key] = _as_json(_NESTED.decode(text)[key])
    return cells


def _as_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    match value:
        case _Number():
            return str(value)
        case dict():
            pairs = (f"{_as_json(key)}: {_as_json(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(_as_json, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _float(text: str) -> str:
    """Return a number as it is written, but with an exponent as programs write one: 1e+20."""
    has_exponent = "e" in text or "E" in text
    return repr(float(text)) if has_exponent and math.isfinite(float(text)) else text


class _Number(str):
    """A number as it is written, in a list or an object."""

    __slots__ = ()


class _TwiceError(ValueError):
    """A key stands twice in an object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"the key '{twice}' stands there twice")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_float, parse_int=str, object_pairs_hook=_object, parse_constant=str
)
_NESTED = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number)
