"""Parquet and Arrow (Feather): files of typed columns, read slice by slice by polars."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.formats.base import BlockSize, Content, Format
from dlcli.tables.table import Table

_MAX_REASON = 200  # characters of the library's words


class ColumnarFormat(Format):
    """A form that polars scans, so that any rows can be read without the others."""

    is_stream = False
    is_typed = True

    @abstractmethod
    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the file's rows, none of them read."""

    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Slice by slice: polars' own batches keep whole row groups, perhaps the whole file."""
        with self._explained(content.name):
            scan = self.scan(content.path)
            schema = scan.collect_schema()
            num_rows = scan.select(pl.len()).collect().item()
            num_taken = size.rows_of(len(schema))
            for start in range(0, num_rows, num_taken):
                frame = scan.slice(start, num_taken).collect()
                yield Table.read(
                    frame, content.name, np.arange(start + 1, start + len(frame) + 1), "row"
                )
        if not num_rows:
            yield Table.read(
                pl.DataFrame(schema=schema), content.name, np.empty(0, np.int64), "row"
            )

    def schema(self, content: Content) -> pl.Schema:
        """Return the columns and their types."""
        with self._explained(content.name):
            schema = self.scan(content.path).collect_schema()
        none = np.empty(0, np.int64)
        return Table.read(pl.DataFrame(schema=schema), content.name, none, "row").frame.schema

    def num_rows(self, content: Content) -> int | None:
        """Return the number of rows."""
        with self._explained(content.name):
            return int(self.scan(content.path).select(pl.len()).collect().item())

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            reason = str(error).partition("\n")[0][:_MAX_REASON]
            raise DataError(f"{name}: not {self.name} that can be read: {reason}") from None


class ParquetFormat(ColumnarFormat):
    """Apache Parquet."""

    name = "a Parquet file"
    suffixes = (".parquet", ".pq")
    magic = b"PAR1"

    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the file's rows, none of them read."""
        return pl.scan_parquet(path, hive_partitioning=False, glob=False)


class ArrowFormat(ColumnarFormat):
    """Arrow IPC files, which are Feather (version 2) files."""

    name = "an Arrow file"
    suffixes = (".arrow", ".feather", ".ipc")
    magic = b"ARROW1"

    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the file's rows, none of them read."""
        return pl.scan_ipc(path, hive_partitioning=False, glob=False)


class ArrowStreamFormat(ColumnarFormat):
    """Arrow IPC streams, which have no index: they are read whole."""

    name = "an Arrow stream"
    suffixes = (".arrows",)
    magic = b"\xff\xff\xff\xff"

    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the stream's rows."""
        return pl.read_ipc_stream(path).lazy()
