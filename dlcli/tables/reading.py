"""The files of a source → tables: at once or block by block."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import islice
from pathlib import Path

import polars as pl

from dlcli.errors import DataError, StorageError
from dlcli.tables.combining import combine, common_schema
from dlcli.tables.compression import (
    MAGIC_BYTES,
    ByteStream,
    Counted,
    Decompressed,
    Prefixed,
    compression_of,
)
from dlcli.tables.formats.base import BlockSize, Content, Format
from dlcli.tables.formats.family import recognise
from dlcli.tables.image_files import ImageListingFormat
from dlcli.tables.sources import Part, Source
from dlcli.tables.table import Table, join_rows
from dlcli.tables.text.text_format import PLAIN_TEXT, TextFormat
from dlcli.tables.unnamed_file import UnnamedFile

BLOCK_BYTES = 8 * 2**20
BLOCK_ROWS = 2**16
_BLOCK_CELLS = 2**22  # of a wide Parquet file, fewer rows
_COPY_BYTES = 2**20


@dataclass(frozen=True)
class Opened:
    """A file of a source, its form recognised."""

    form: Format
    content: Content
    raw: Counted  # what is read of the file
    decompressed: Counted  # what becomes of that
    is_compressed: bool


def read_table(source: Source, text: TextFormat = PLAIN_TEXT) -> Table:
    """Read all rows. Raises DataError where they can't be used, StorageError where not read."""
    table = concatenate(list(read_blocks(source, text)))
    if not len(table):
        raise DataError(f"{source}: no rows below the header")
    return table


def concatenate(tables: list[Table]) -> Table:
    """Return the rows of several tables of one source, their text in plain notation."""
    return join_rows([table.plainly() for table in tables])


def read_blocks(source: Source, text: TextFormat = PLAIN_TEXT) -> Iterator[Table]:
    """Yield a source's rows in order, in blocks that bound the memory; at least one of them.

    Raises DataError where they can't be used: where columns differ between files among others.
    """
    size = BlockSize(BLOCK_BYTES, BLOCK_ROWS, _BLOCK_CELLS)
    folders = tuple(part.folder for part in source.parts)
    if source.is_one_file:
        with open_part(source.parts[0], text) as opened:
            for table in opened.form.blocks(opened.content, size):
                yield replace(table, folders=folders)
        return
    schema = _common_schema(source, text)

    def tables() -> Iterator[tuple[int, Table]]:
        for index, part in enumerate(source.parts):
            if _is_empty(part):  # as Spark writes a part without rows
                continue
            with open_part(part, text) as opened:
                for table in opened.form.blocks(opened.content, size):
                    yield index, table

    for table in combine(source, tables(), schema):
        yield replace(table, folders=folders)


def _common_schema(source: Source, text: TextFormat) -> pl.Schema | None:
    """Return the types of columns that files have in common; None where cells are text.

    Raises DataError where files are of several forms, or types differ.
    """
    first: tuple[Format, Part] | None = None
    schemas = []
    for part in source.parts:
        if _is_empty(part):
            continue
        with open_part(part, text) as opened:
            first = first or (opened.form, part)
            if type(opened.form) is not type(first[0]):
                raise DataError(
                    f"{source}: files of several forms: {first[1].name} is {first[0].name}, "
                    f"{part.name} is {opened.form.name}; name those of one form"
                )
            schema = opened.form.schema(opened.content)
            if schema is not None:
                schemas.append((part.name, schema))
    if first is None:
        raise DataError(f"{source}: all of its files are empty")
    return common_schema(schemas) if schemas else None


def _is_empty(part: Part) -> bool:
    return part.made is None and part.file.is_file() and not part.file.stat().st_size


@contextmanager
def open_part(part: Part, text: TextFormat = PLAIN_TEXT) -> Iterator[Opened]:
    """Open a file, decompressed; DataError where it isn't there or of no form that is read."""
    with ExitStack() as stack:
        file = stack.enter_context(_bytes_of(part))
        raw = Counted(file)
        stream: ByteStream = raw
        if part.path().is_file():  # a pipe may hold fewer bytes at first
            head = file.peek(MAGIC_BYTES)[:MAGIC_BYTES]
        else:
            head, stream = _begin(raw)
        compression = compression_of(head, part.name)
        if compression is not None:
            head, stream = _begin(Decompressed(stream, compression, part.name))
            if compression_of(head, part.name) is not None:
                raise DataError(f"{part.name}: compressed twice; decompress it once")
        if part.images is None:
            form = recognise(head, part.name, has_name=not part.is_standard_input)
        else:
            form = ImageListingFormat(part.images)
        decompressed = Counted(stream)
        path = part.path()
        if not form.is_stream and (compression or not path.is_file()):
            path = stack.enter_context(_spooled(decompressed))
        content = Content(part.name, decompressed, path, part.sheet, text)
        yield Opened(form, content, raw, decompressed, compression is not None)


def _begin(stream: ByteStream) -> tuple[bytes, ByteStream]:
    head = stream.read(MAGIC_BYTES)
    return head, Prefixed(head, stream)


def settings_of(source: Source) -> set[str]:
    """Return the keys of a config's `data` that say how its files are read; DataError."""
    found: set[str] = set()
    for part in source.parts:
        if part.made is not None:
            found.update(part.made.settings)
        elif not _is_empty(part):
            with open_part(part) as opened:
                found.update(opened.form.settings)
    return found


def checksum(source: Source) -> str:
    """Return the SHA-256 of a source's bytes, in hexadecimal digits.

    Of several files, that of theirs in order, with what their folders' names say.
    """
    digests = []
    for part in source.parts:
        if part.made is not None:
            digests.append(part.made.checksum())
            continue
        with _bytes_of(part) as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if source.is_one_file:
        return digests[0]
    pairs = zip(digests, source.parts, strict=True)
    lines = [f"{digest} {part.partition}" for digest, part in pairs]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@contextmanager
def _bytes_of(part: Part) -> Iterator[BufferedReader]:
    """Open a file; DataError where there is none, StorageError where reading fails."""
    try:
        if part.is_standard_input:
            yield sys.stdin.buffer  # type: ignore[misc]
            return
        with part.path().open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{part.name}: there is no such file") from None
    except OSError as error:
        raise StorageError(f"{part.name}: cannot read it: {error.strerror or error}") from None


@contextmanager
def _spooled(stream: ByteStream) -> Iterator[Path]:
    """Copy a stream to a file that is removed afterwards, to seek in."""

    def write(path: Path) -> None:
        with path.open("wb") as copy:
            while chunk := stream.read(_COPY_BYTES):
                copy.write(chunk)

    copy = UnnamedFile(write)
    try:
        yield copy.path
    finally:
        copy.close()


def sample_part(part: Part, text: TextFormat = PLAIN_TEXT) -> tuple[Table, float, Format]:
    """Return the first block of a file, about how many rows the file has, and its form."""
    size = BlockSize(BLOCK_BYTES, BLOCK_ROWS, _BLOCK_CELLS)
    with open_part(part, text) as opened:
        num_rows: float | None = opened.form.num_rows(opened.content)
        block = next(islice(opened.form.blocks(opened.content, size), 1))
        if num_rows is None:
            expansion = opened.decompressed.num_bytes / max(1, opened.raw.num_bytes)
            num_bytes = part.path().stat().st_size * expansion
            num_rows = num_bytes / max(1.0, opened.form.bytes_a_row(block.frame))
        return block, num_rows, opened.form
