"""A file → tables: CSV or Parquet, at once or block by block."""

import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from dlcli.errors import DataError, StorageError
from dlcli.tables.table import Table
from dlcli.tables.text.csv_blocks import read_csv_blocks
from dlcli.tables.text.text_format import PLAIN_TEXT, TextFormat

BLOCK_BYTES = 8 * 2**20
BLOCK_ROWS = 2**16
_BLOCK_CELLS = 2**22  # of a wide Parquet file, fewer rows
STANDARD_INPUT = Path("-")
_PARQUET_MAGIC = b"PAR1"


def read_table(path: Path, form: TextFormat = PLAIN_TEXT) -> Table:
    """Read a whole file. Raises DataError where it can't be used, StorageError where not read."""
    blocks = list(read_blocks(path, form))
    frame = pl.concat([block.frame for block in blocks])
    numbers = np.concatenate([block.numbers for block in blocks])
    if not len(frame):
        raise DataError(f"{path}: no rows below the header")
    return replace(blocks[0], frame=frame, numbers=numbers)


def read_blocks(path: Path, form: TextFormat = PLAIN_TEXT) -> Iterator[Table]:
    """Yield a file's rows in order, in blocks that bound the memory; `-` is standard input."""
    if path == STANDARD_INPUT:
        head = sys.stdin.buffer.read(len(_PARQUET_MAGIC))
        if head == _PARQUET_MAGIC:  # its index stands at the end, so all of it is needed
            yield from _parquet_blocks(io.BytesIO(head + sys.stdin.buffer.read()), "standard input")
            return
        stream = _Prefixed(head, sys.stdin.buffer)
        yield from read_csv_blocks(stream, "standard input", form, block_bytes=BLOCK_BYTES)
        return
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"{path}: neither .csv nor .parquet")
    with _open(path) as file:
        if path.suffix.lower() == ".parquet":
            yield from _parquet_blocks(path, str(path))  # of a file object, it would keep a copy
        else:
            yield from read_csv_blocks(file, str(path), form, block_bytes=BLOCK_BYTES)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with _open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, not a file") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot read it: {error.strerror}") from None


def _parquet_blocks(file: Path | BinaryIO, source: str) -> Iterator[Table]:
    """Slice by slice: polars' own batches keep whole row groups, which can be the whole file."""
    try:
        scan = pl.scan_parquet(file)
        schema = scan.collect_schema()
        num_rows = scan.select(pl.len()).collect().item()
        size = max(1, min(BLOCK_ROWS, _BLOCK_CELLS // max(1, len(schema))))
        for start in range(0, num_rows, size):
            frame = scan.slice(start, size).collect()
            yield Table.read(frame, source, np.arange(start + 1, start + len(frame) + 1), "row")
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{source}: not a Parquet file that can be read: {reason}") from None
    if not num_rows:
        yield Table.read(pl.DataFrame(schema=schema), source, np.empty(0, np.int64), "row")


class _Prefixed:
    """A stream, with bytes that were already read from it put back in front."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head + self._stream.read(size)
