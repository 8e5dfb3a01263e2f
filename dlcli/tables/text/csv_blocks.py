"""CSV bytes → blocks of whole records, each with its line numbers, every ragged row refused.

polars parses the cells; but it fills short rows with empty cells and names no lines, so records
and cells are counted here. How the file is written is recognised from its first bytes.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.compression import ByteStream, Prefixed
from dlcli.tables.table import Table, more_rows
from dlcli.tables.text.dialect import Dialect
from dlcli.tables.text.encodings import (
    UnixLines,
    Utf8Stream,
    is_utf8,
    read_head,
    recognise_encoding,
)
from dlcli.tables.text.headers import Header, recognise_header
from dlcli.tables.text.notations import recognise_notation
from dlcli.tables.text.records import (
    count,
    count_quotes,
    find_records,
    first_record_end,
    has_exponents,
    last_record_end,
    newlines_before,
    outside_quotes,
)
from dlcli.tables.text.separators import SEPARATORS, Marks, recognise_marks
from dlcli.tables.text.text_format import TextFormat
from dlcli.tables.text.titles import refuse_title

HEAD_BYTES = 2**20  # that a file's dialect is recognised from
MAX_RECORD_BYTES = 64 * 2**20  # a longer one is a quote that is never closed
_SAMPLED_RECORDS = 100  # below the first line, to tell whether that is one of names


def read_csv_blocks(
    stream: ByteStream,
    source: str,
    form: TextFormat,
    *,
    block_bytes: int,
    head_bytes: int = HEAD_BYTES,
) -> Iterator[Table]:
    """Yield a table's rows in order, about `block_bytes` of text at a time, cells as text.

    Yields at least one table, without rows where the file has a header only. Raises DataError for
    an empty file, a header that can't be used, bytes that aren't of the file's encoding, a quote
    that is never closed, a row with more or fewer cells than the header, and where what is not said
    in `form` can be read in two ways.
    """
    stream, encoding = _as_utf8(stream, source, form, block_bytes, head_bytes)
    head = read_head(stream, block_bytes, head_bytes).removeprefix(codecs.BOM_UTF8)
    sample = _whole_lines(head[:head_bytes])
    marks = recognise_marks(sample, form, source)
    records = _Records(source, form, marks, encoding)
    sample = sample[len(marks.skipped) :]
    stream = Prefixed(head[len(marks.skipped) :], stream)
    line = 1 + count(marks.skipped, "\n")  # on which the next record starts
    first: Table | None = None
    for block in _whole_records(stream, block_bytes, marks.quote):
        records.refuse_open_quote(block, line)
        if first is None:
            table = records.begin(block, sample, line)
            first = replace(table, frame=table.frame.clear())  # whose rows are not held
        else:
            rows = records.read(block, first.frame.columns, line)
            table = replace(
                first, frame=rows.frame, numbers=rows.numbers, has_exponents=rows.has_exponents
            )
        yield table
        line += count(block, "\n")
    if first is None:
        raise DataError(f"{source}: the file is empty; its first line must name the columns")


def _as_utf8(
    stream: ByteStream, source: str, form: TextFormat, block_bytes: int, head_bytes: int
) -> tuple[ByteStream, str]:
    """Return the text of a stream as UTF-8, with lines that end with a newline; its encoding."""
    head = read_head(stream, block_bytes, head_bytes)
    encoding = recognise_encoding(head[:head_bytes], form, source)
    stream = Prefixed(head, stream)
    if b"\n" not in head and b"\r" in head:
        stream = UnixLines(stream)
    if not is_utf8(encoding):
        stream = Utf8Stream(stream, encoding, form, source)
    return stream, encoding


@dataclass(frozen=True)
class _Records:
    """Turns bytes of whole records into tables."""

    source: str
    form: TextFormat
    marks: Marks
    encoding: str

    def begin(self, block: bytes, sample: bytes, line: int) -> Table:
        """Return the rows of a file's first block, and how it is written, recognised from a sample.

        The block and the sample start on a line; either may be the longer one.
        """
        is_smaller = len(block) < len(sample)
        header, num_bytes = self.read_header(sample if is_smaller else block, line)
        line += count(block[:num_bytes], "\n")
        block, sample = block[num_bytes:], sample[num_bytes:]
        table = self.read(block, header.names, line)
        num_rows = int(np.searchsorted(table.numbers, line + count(sample, "\n")))
        rows = table.frame.head(num_rows)
        if is_smaller:
            rows = self.read_sample(sample, header.names)
        separator, quote = self.marks.separator, self.marks.quote
        notation = recognise_notation(sample, rows, self.form, separator)
        dialect = Dialect(separator, quote, self.encoding, header, notation, self.form)
        return replace(
            table,
            written=header.written,
            unnamed=header.unnamed,
            notation=notation,
            dialect=dialect,
        )

    def refuse_open_quote(self, block: bytes, line: int) -> None:
        """Raise DataError for a quote that is not closed in a block of whole records."""
        if count_quotes(block, self.marks.quote) % 2:
            ends = outside_quotes(block, "\n", self.marks.quote) + 1
            line += count(block[: ends[-1] if len(ends) else 0], "\n")
            raise DataError(
                f"{self.source}, line {line}: a quote is opened here and never closed; if quotes "
                f"are text, {self.form.advice('quote', 'none')}"
            )

    def read_header(self, block: bytes, line: int) -> tuple[Header, int]:
        """Return the header of a file that begins with a block, and the bytes that it takes."""
        end = first_record_end(block, self.marks.quote)
        cells = self._cells(block[:end], line)
        cells = self._with_row_names(cells, block)
        if len(cells) == 1:
            separators = SEPARATORS if self.form.separator is None else self.marks.separator
            head, quote = block[:HEAD_BYTES], self.marks.quote
            refuse_title(cells[0], head, separators, quote, self.source, line)

        def sample() -> pl.DataFrame:
            ends = outside_quotes(block, "\n", self.marks.quote) + 1
            rest = block[end : ends[min(_SAMPLED_RECORDS, len(ends) - 1)]]
            return self.read_sample(rest, [str(index) for index in range(len(cells))])

        header = recognise_header(cells, sample, self.form, f"{self.source}, line {line}")
        self._refuse_single(header, line)
        return header, end if header.first_cells is None else 0

    def read_sample(self, text: bytes, names: list[str]) -> pl.DataFrame:
        """Return the cells of records, ragged ones filled or cut; none where they can't be read."""
        found = self._parse(text, names, is_ragged=True) if text else None
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String)) if found is None else found

    def _cells(self, record: bytes, line: int) -> list[str]:
        text = self._checked(record, line)
        if not count_quotes(record, self.marks.quote):
            line_text = text.decode("utf-8").removesuffix("\n").removesuffix("\r")
            return line_text.split(self.marks.separator)
        try:
            cells = pl.read_csv(
                text,
                has_header=False,
                infer_schema=False,
                separator=self.marks.separator,
                quote_char=self.marks.quote or None,
            ).row(0)
        except pl.exceptions.PolarsError:
            raise DataError(
                f"{self.source}, line {line}: a quotation mark within a cell; write the cell as "
                f'"a ""quoted"" word", or, if quotes are text throughout, '
                f"{self.form.advice('quote', 'none')}"
            ) from None
        return [str(cell or "") for cell in cells]

    def _with_row_names(self, cells: list[str], block: bytes) -> list[str]:
        """Return the first line's cells, with one for a column that only the rows below have.

        R writes the names of rows so, in quotes, and others a separator at the end of each row.
        """
        separator, quote = self.marks.separator, self.marks.quote
        end = block.find(b"\n")
        second = block[end + 1 : block.find(b"\n", end + 1) + 1]
        if second.count(separator.encode()) == block[:end].count(separator.encode()):
            return cells  # as in most files
        _, counts = find_records(block[:HEAD_BYTES], separator, quote)
        if not len(counts[1:]) or not (counts[1:] == counts[0] + 1).all():
            return cells
        header, *lines = block[:HEAD_BYTES].replace(b"\r\n", b"\n").split(b"\n")[: len(counts)]
        if all(record.endswith(separator.encode()) for record in lines):
            return [*cells, ""]
        if quote and all(record.startswith(quote.encode()) for record in (header, *lines)):
            return ["", *cells]
        return cells

    def _refuse_single(self, header: Header, line: int) -> None:
        """Raise DataError where the only column's name looks like several."""
        name, separator = header.names[0], self.marks.separator
        others = [mark for mark in ",;\t|" if mark != separator and mark in name]
        if len(header.names) == 1 and others:
            raise DataError(
                f"{self.source}, line {line}: only one column, '{name}'; if its cells are "
                f"separated by {others[0]!r}, {self.form.advice('separator', others[0])}"
            )

    def read(self, block: bytes, names: list[str], line: int) -> Table:
        """Return the records of a block that starts on a line, none of them ragged."""
        frame, num_lines = None, count(block, "\n")
        separator, quote = self.marks.separator, self.marks.quote
        is_even = count(block, separator) == num_lines * (len(names) - 1)
        if is_even and not count_quotes(block, quote):
            numbers = np.arange(line, line + num_lines)
            # polars refuses a row that is too long; without one, there is none that is too short.
            frame = self._parse_all(block, names, numbers)
        if frame is None:
            starts, cells = find_records(block, separator, quote)
            numbers = line + newlines_before(block, starts)
            self._refuse_ragged(cells, numbers, names)
            frame = self._parse_all(block, names, numbers)
        if frame is None:
            raise DataError(
                f"{self.source}, lines {numbers[0]} to {numbers[-1]}: cells contain single "
                'quotation marks; write a cell with a quote as "a ""quoted"" word", or, if quotes '
                f"are text throughout, {self.form.advice('quote', 'none')}"
            )
        return Table(frame, self.source, numbers, "line", has_exponents=has_exponents(block))

    def _refuse_ragged(self, cells: np.ndarray, numbers: np.ndarray, names: list[str]) -> None:
        ragged = np.flatnonzero(cells != len(names))
        if len(ragged):
            row = ragged[0]
            more = more_rows(len(ragged))
            found = {1: "an empty line, or one cell,"}.get(cells[row], f"{cells[row]} cells")
            repair = f"put text that contains {self.marks.separator!r} in quotes"
            if cells[row] < len(names):
                repair = "add the missing cells, or remove the row"
            raise DataError(
                f"{self.source}, line {numbers[row]}: {found} where the header has {len(names)}"
                f"{more}; {repair}"
            )

    def _parse_all(
        self, block: bytes, names: list[str], numbers: np.ndarray
    ) -> pl.DataFrame | None:
        """Return the records' cells; None where polars finds a long one, or another number."""
        if not len(numbers):
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        frame = self._parse(self._checked(block, int(numbers[0])), names)
        return frame if frame is not None and len(frame) == len(numbers) else None

    def _parse(
        self, text: bytes, names: list[str], *, is_ragged: bool = False
    ) -> pl.DataFrame | None:
        try:
            return pl.read_csv(
                text,
                has_header=False,
                schema=dict.fromkeys(names, pl.String),
                separator=self.marks.separator,
                quote_char=self.marks.quote or None,
                empty_string_is_null=False,
                truncate_ragged_lines=is_ragged,
            )
        except pl.exceptions.PolarsError:
            return None

    def _checked(self, block: bytes, first_line: int) -> bytes:
        """Return a block that is UTF-8; DataError with the line where it isn't."""
        try:
            if not block.isascii():
                block.decode("utf-8")
        except UnicodeDecodeError as error:
            line = first_line + block[: error.start].count(b"\n")
            raise DataError(
                f"{self.source}, line {line}: not UTF-8 text; save the file as UTF-8, or say which "
                f"encoding it has, as in {self.form.setting('encoding', 'windows-1252')}"
            ) from None
        return block


def _whole_lines(text: bytes) -> bytes:
    """Return text up to its last newline, if there is one, without blank lines at its end."""
    text = text[: text.rfind(b"\n") + 1] or text
    if text.endswith(b"\n") and not text.endswith((b"\n\n", b"\r\n")):
        return text
    return text.rstrip(b"\r\n") + b"\n"


def _whole_records(stream: ByteStream, block_bytes: int, quote: str) -> Iterator[bytes]:
    """Yield the bytes, cut where a record ends; blank lines at the very end are left out."""
    held = stream.read(block_bytes)
    while more := stream.read(block_bytes):
        cut = last_record_end(held, quote)
        if cut:
            yield held[:cut]
        elif len(held) > MAX_RECORD_BYTES:
            break
        held = held[cut:] + more
    rest = held.rstrip(b"\r\n")
    if rest:
        yield rest + b"\n"
