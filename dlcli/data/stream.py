"""Files read block by block, each row falling into the same part at every pass."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from dlcli.columns.cells import clean
from dlcli.config.sections.data import DataConfig
from dlcli.data.splits import PARTS, draw_split, split_by_column
from dlcli.data.target import present
from dlcli.tables.reading import read_blocks
from dlcli.tables.table import Table

Result = TypeVar("Result")
OWN_PARTS = {"validation_path": "validation", "test_path": "test"}


@dataclass(frozen=True)
class Reading:
    """Somewhere in a file, as it is read block by block."""

    purpose: str  # what for, in words
    file: Path
    num_rows: int  # read so far
    seconds: float
    is_over: bool = False


def drain(reading: Generator[object, None, Result]) -> Result:
    """Return what reading leads to, without a word on the way."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            result: Result = end.value
            return result


@dataclass(frozen=True)
class Block:
    """Some rows of a file."""

    file: str  # the config key that names it
    rows: Table  # all of them
    first: int  # the index in the file of the first one
    parts: dict[str, np.ndarray]  # which of the rows each part has: indices, target present


@dataclass(frozen=True)
class Stream:
    """The files of a config's `data`, to be read as often as needed."""

    config: DataConfig
    files: dict[str, Path]  # by the config key that names it, "path" first
    seed: int  # of the split
    most_blocks: int | None = None  # of each file; None: all

    def header(self, key: str) -> Table:
        """Return a file's columns, without rows."""
        block = next(iter(read_blocks(self.files[key], separator=self.config.separator)))
        return block.take(np.empty(0, np.int64))

    def blocks(self, key: str) -> Iterator[Block]:
        """Yield a file's rows in order; DataError where they can't be used."""
        config, first = self.config, 0
        blocks = read_blocks(self.files[key], separator=config.separator)
        for rows in islice(blocks, self.most_blocks):
            # As text: whether a column is numbers throughout, no block knows.
            table = clean(rows, config.missing_values, as_text=rows.frame.columns)
            yield Block(key, table, first, self._split(key, table, first))
            first += len(table)

    def _split(self, key: str, table: Table, first: int) -> dict[str, np.ndarray]:
        config = self.config
        kept = present(table, config.target, config.missing_values)
        if key in OWN_PARTS:
            return {OWN_PARTS[key]: kept}
        if config.split.column is not None:
            by_column = split_by_column(table.take(kept), config.split.column)
            return {part: kept[getattr(by_column, part)] for part in PARTS}
        shares = config.split
        drawn = draw_split(
            first, len(table), validation=shares.validation, test=shares.test, seed=self.seed
        )
        is_kept = np.zeros(len(table), bool)
        is_kept[kept] = True
        return {part: rows[is_kept[rows]] for part in PARTS if len(rows := getattr(drawn, part))}
