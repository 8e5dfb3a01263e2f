"""The interface of all forms of files, and what is known of a file before it is read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from dlcli.tables.compression import ByteStream
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import TextFormat


@dataclass(frozen=True)
class BlockSize:
    """How large blocks may be."""

    num_bytes: int  # of text
    num_rows: int  # of columns with types
    num_cells: int  # of them: of a wide table, fewer rows

    def rows_of(self, width: int) -> int:
        """Return how many rows of so many columns a block has."""
        return max(1, min(self.num_rows, self.num_cells // max(1, width)))


@dataclass(frozen=True)
class Content:
    """A file's bytes, decompressed: a stream to be read once, or a file to seek in."""

    name: str  # what messages call it
    stream: ByteStream
    path: Path  # for forms that are no streams
    sheet: str | None  # of a workbook; None: the only one with rows
    text: TextFormat


class Format(ABC):
    """A form that files of rows have."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]  # of file names, in lower case
    magic: ClassVar[bytes | None] = None  # what such files begin with; None: text
    is_stream: ClassVar[bool]  # read from the first byte to the last, so that none has to seek
    is_typed: ClassVar[bool]  # columns have types, which may differ between files
    settings: ClassVar[tuple[str, ...]] = ()  # keys of a config's `data` that say how it is read

    @abstractmethod
    def blocks(self, content: Content, size: BlockSize) -> Iterator[Table]:
        """Yield the rows in order, one table at least; DataError where they can't be read."""

    def schema(self, content: Content) -> pl.Schema | None:
        """Return the columns and their types; None where all are text; DataError if unreadable."""
        del content
        return None

    def num_rows(self, content: Content) -> int | None:
        """Return the number of rows where the file says it without being read, else None."""
        del content
        return None

    def bytes_a_row(self, frame: pl.DataFrame) -> float:
        """Return about what a row of text takes, of those in a frame."""
        cells = frame.select(pl.all().str.len_bytes().fill_null(0).sum()).sum_horizontal().item()
        return float(cells) / max(1, len(frame)) + self.bytes_around(frame.columns)

    def bytes_around(self, columns: list[str]) -> int:
        """Return what a row takes beside its cells: separators among others."""
        return len(columns)
