"""Tables, block by block → a file or standard output."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from dlcli.errors import ConfigError, DataError, StorageError
from dlcli.files import atomic_file
from dlcli.tables.lists import can_be_text, lists_to_text

STANDARD_OUTPUT = Path("-")


def write_blocks(
    blocks: Iterator[pl.DataFrame], path: Path, *, separator: str, is_whole: bool = False
) -> None:
    """Write blocks of one table in order: CSV, or Parquet by the name; `-` is standard output.

    What the blocks' iterator raises passes through; StorageError where writing fails. A file is
    there whole or not at all; standard output is so too where it `is_whole`.
    """
    if path == STANDARD_OUTPUT:
        try:
            with tempfile.TemporaryFile() if is_whole else nullcontext(sys.stdout.buffer) as file:
                _write_csv(blocks, file, separator, "standard output")
                if is_whole:
                    file.seek(0)
                    shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise StorageError(
                f"standard output: cannot write to it: {error.strerror or error}"
            ) from None
        return
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ConfigError(f"-o {path}: neither .csv nor .parquet")
    with atomic_file(path) as file:
        if path.suffix.lower() == ".csv":
            _write_csv(blocks, file, separator, str(path))
        else:
            _write_parquet(blocks, file)


def _write_csv(blocks: Iterator[pl.DataFrame], file: BinaryIO, separator: str, where: str) -> None:
    for index, block in enumerate(blocks):
        listed = [name for name, dtype in block.schema.items() if can_be_text(dtype)]
        block = block.with_columns(lists_to_text(block[name]) for name in listed)
        for name, dtype in block.schema.items():
            if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Object):
                raise DataError(
                    f"{where}: column '{name}' is of type {dtype}, which CSV has no way to write; "
                    "name a .parquet file with -o"
                )
        block.write_csv(file, include_header=index == 0, separator=separator)


def _write_parquet(blocks: Iterator[pl.DataFrame], file: BinaryIO) -> None:
    """Let polars pull the blocks as it writes, so that one of them is in memory at a time."""
    first = next(blocks)
    raised: list[Exception] = []

    def pull(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size  # all rows and columns are written
        yield first
        try:
            yield from blocks
        except Exception as error:
            raised.append(error)  # polars would pass on its text only
            raise

    try:
        register_io_source(pull, schema=first.schema).sink_parquet(file)
    except pl.exceptions.PolarsError:
        if raised:
            raise raised[0] from None
        raise
