"""CSV bytes → blocks of whole records, each with its line numbers, every ragged row refused.

polars parses the cells; but it fills short rows with empty cells and names no lines, so records
and cells are counted here: a newline ends a record, and a separator a cell, where the number of
quotes before it is even (RFC 4180).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.compression import ByteStream
from dlcli.tables.names import normalise_names
from dlcli.tables.table import Table, more_rows
from dlcli.tables.text.text_format import TextFormat

MAX_RECORD_BYTES = 64 * 2**20  # a longer one is a quote that is never closed


def read_csv_blocks(
    stream: ByteStream, source: str, form: TextFormat, *, block_bytes: int
) -> Iterator[Table]:
    """Yield a table's rows in order, about `block_bytes` of text at a time, cells as text.

    Yields at least one table, without rows where the file has a header only. Raises DataError for
    an empty file, a header that can't be used, bytes that aren't UTF-8, a quote that is never
    closed, and a row with more or fewer cells than the header.
    """
    separator = form.separator
    line = 1  # on which the next record starts
    header: list[str] | None = None
    written: dict[str, str] = {}
    for block in _whole_records(stream, block_bytes):
        if _count(block, '"') % 2:
            ends = _outside_quotes(block, "\n") + 1
            line += _count(block[: ends[-1] if len(ends) else 0], "\n")
            raise DataError(f"{source}, line {line}: a quote is opened here and never closed")
        if header is None:
            end = block.find(b"\n") + 1
            if b'"' in block[:end]:
                end = int(_outside_quotes(block, "\n")[0]) + 1
            first, block = block[:end], block[end:]
            header, written = _read_header(first, source, separator)
            line += _count(first, "\n")
        num_lines = _count(block, "\n")
        table = _read_records(block, num_lines, header, source, separator, line)
        yield replace(table, written=written, has_exponents=_has_exponents(block))
        line += num_lines
    if header is None:
        raise DataError(f"{source}: the file is empty; its first line must name the columns")


def _read_records(
    block: bytes, num_lines: int, header: list[str], source: str, separator: str, line: int
) -> Table:
    """Return the records of a block that starts on a line, none of them ragged."""
    frame = None
    is_even = _count(block, separator) == num_lines * (len(header) - 1)
    if is_even and not _count(block, '"'):
        numbers = np.arange(line, line + num_lines)
        # polars refuses a row that is too long; without one, there is none that is too short.
        frame = _parse(block, header, source, separator, numbers)
    if frame is None:
        starts, cells = _records(block, separator)
        numbers = line + _newlines_before(block, starts)
        _refuse_ragged(cells, numbers, header, source, separator)
        frame = _parse(block, header, source, separator, numbers)
    if frame is None:
        raise DataError(
            f"{source}, lines {numbers[0]} to {numbers[-1]}: cells contain single quotation marks; "
            'write a cell with a quote as "a ""quoted"" word"'
        )
    return Table(frame, source, numbers, "line")


def _whole_records(stream: ByteStream, block_bytes: int) -> Iterator[bytes]:
    """Yield the bytes, cut where a record ends; blank lines at the very end are left out."""
    held = stream.read(block_bytes).removeprefix(b"\xef\xbb\xbf")
    while more := stream.read(block_bytes):
        cut = _last_record_end(held)
        if cut:
            yield held[:cut]
        elif len(held) > MAX_RECORD_BYTES:
            break
        held = held[cut:] + more
    rest = held.rstrip(b"\r\n")
    if rest:
        yield rest + b"\n"


def _last_record_end(block: bytes) -> int:
    """Return where the last record ends, before the newlines that may be the file's last ones."""
    text = block.rstrip(b"\r\n")
    if not _count(text, '"'):
        return text.rfind(b"\n") + 1
    newlines = _outside_quotes(text, "\n")
    return int(newlines[-1]) + 1 if len(newlines) else 0


def _has_exponents(block: bytes) -> bool:
    """Say whether there is an E between two digits."""
    if b"E" not in block:  # the fastest way to see that there is none
        return False
    data = np.frombuffer(block, np.uint8)
    at = np.flatnonzero(data[1:-1] == ord("E"))
    return bool(((data[at] - ord("0") < 10) & (data[at + 2] - ord("0") < 10)).any())  # uint8 wraps


def _count(block: bytes, mark: str) -> int:
    """Return how often an ASCII mark stands there, ten times as fast as `bytes.count`."""
    if mark.encode() not in block:  # ten times as fast again
        return 0
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord(mark)))


def _outside_quotes(block: bytes, mark: str) -> np.ndarray:
    """Return the places of a mark that are not inside of quotes."""
    data = np.frombuffer(block, np.uint8)
    found = np.flatnonzero(data == ord(mark))
    quotes = np.flatnonzero(data == ord('"'))
    outside: np.ndarray = found[np.searchsorted(quotes, found) % 2 == 0]
    return outside


def _records(block: bytes, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the number of cells of each record, [records] each."""
    ends = _outside_quotes(block, "\n") + 1
    starts = np.concatenate(([0], ends[:-1]))
    separators = _outside_quotes(block, separator)
    return starts, np.diff(np.searchsorted(separators, ends), prepend=0) + 1


def _newlines_before(block: bytes, starts: np.ndarray) -> np.ndarray:
    newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    return np.searchsorted(newlines, starts)


def _read_header(first: bytes, source: str, separator: str) -> tuple[list[str], dict[str, str]]:
    """Return the names of the columns, and how the header writes those that differ."""
    cells = pl.read_csv(
        _decoded(first, source, 1), has_header=False, separator=separator, infer_schema=False
    ).row(0)
    place = f"{source}, line 1"
    as_written = [str(cell or "") for cell in cells]
    for index, name in enumerate(map(str.strip, as_written)):
        if not name.isprintable():
            raise DataError(f"{place}: not a CSV file: starts with {name[:20]!r}")
        if not name:
            raise DataError(f"{place}: column {index + 1} has no name")
    names, written = normalise_names(as_written, place)
    others = [mark for mark in ",;\t|" if mark != separator and mark in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{place}: only one column, '{names[0]}'; if its cells are separated by "
            f"{others[0]!r}, set data.separator: {others[0]!r}"
        )
    return names, written


def _refuse_ragged(
    cells: np.ndarray, numbers: np.ndarray, header: list[str], source: str, separator: str
) -> None:
    ragged = np.flatnonzero(cells != len(header))
    if len(ragged):
        row = ragged[0]
        more = more_rows(len(ragged))
        found = {1: "an empty line, or one cell,"}.get(cells[row], f"{cells[row]} cells")
        repair = f"put text that contains {separator!r} in quotes"
        if cells[row] < len(header):
            repair = "add the missing cells, or remove the row"
        raise DataError(
            f"{source}, line {numbers[row]}: {found} where the header has {len(header)}{more}; "
            f"{repair}"
        )


def _parse(
    block: bytes, header: list[str], source: str, separator: str, numbers: np.ndarray
) -> pl.DataFrame | None:
    """Return the records' cells; None where polars finds a long one, or another number of them."""
    schema = dict.fromkeys(header, pl.String)
    if not len(numbers):
        return pl.DataFrame(schema=schema)
    text = _decoded(block, source, int(numbers[0]))
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            schema=schema,
            separator=separator,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:
        return None
    return frame if len(frame) == len(numbers) else None


def _decoded(block: bytes, source: str, first_line: int) -> bytes:
    try:
        if not block.isascii():
            block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + block[: error.start].count(b"\n")
        raise DataError(f"{source}, line {line}: not UTF-8 text; save the file as UTF-8") from None
    return block
