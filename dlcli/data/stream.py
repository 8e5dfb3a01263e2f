"""Rows read from files, each in the same part at every pass: block by block, or held in memory."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import polars as pl

from dlcli.columns.cells import clean, read_cells
from dlcli.columns.column_statistics import CellCount
from dlcli.columns.family import column_statistics, kind_named
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics, choose_task, refuse_missing_target
from dlcli.data.splits import PARTS, draw_split, split_by_column, split_by_shares
from dlcli.tables.reading import read_blocks, read_table
from dlcli.tables.table import Table
from dlcli.targets.base import present
from dlcli.targets.class_target import class_labels
from dlcli.targets.task import Task

Result = TypeVar("Result")
FILE_PARTS = {"validation_path": "validation", "test_path": "test"}  # of files that are one part


@dataclass(frozen=True)
class Reading:
    """Somewhere in a file, as it is read block by block."""

    purpose: str  # what for, in words
    file: Path
    num_rows: int  # read so far
    seconds: float
    is_over: bool = False


def drain(reading: Generator[object, None, Result]) -> Result:
    """Return what reading leads to; what it yields on the way is dropped."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            result: Result = end.value
            return result


@dataclass(frozen=True)
class Block:
    """Some rows of a file."""

    rows: Table
    parts: dict[str, np.ndarray]  # which of the rows each part has: indices, target present
    first: int  # the index in the file of the first row
    num_rows: int  # of the file that the block stands for, those left out included
    missing_target: CellCount  # among these

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield the rows of each part that has some."""
        for part, chosen in self.parts.items():
            if len(chosen):
                is_all = len(chosen) == len(self.rows)
                yield part, self.rows if is_all else self.rows.take(chosen)


@dataclass(frozen=True)
class RowSource(ABC):
    """The files of a config's `data`, to be read as often as needed."""

    is_held: ClassVar[bool]  # all rows are in memory, in one block for each part

    config: DataConfig
    files: dict[str, Path]  # by the config key that names it, "path" first
    seed: int  # of the split

    @abstractmethod
    def header(self, key: str) -> Table:
        """Return a file's columns, without rows."""

    @abstractmethod
    def blocks(self, key: str) -> Iterator[Block]:
        """Yield a file's rows in order; DataError where they can't be used."""

    def possible_parts(self, key: str) -> tuple[str, ...]:
        """Return the parts that a file's rows can be in."""
        if key in FILE_PARTS:
            return (FILE_PARTS[key],)
        split = self.config.split
        if split.column is not None:
            return PARTS
        return ("train", *filter(lambda part: getattr(split, part), PARTS[1:]))


@dataclass(frozen=True)
class Stream(RowSource):
    """Files that are read anew in each pass, in blocks that bound the memory."""

    is_held: ClassVar[bool] = False

    max_blocks: int | None = None  # of each file; None: all

    def header(self, key: str) -> Table:
        """Return a file's columns, without rows."""
        block = next(iter(read_blocks(self.files[key], separator=self.config.separator)))
        return block.take(np.empty(0, np.int64))

    def blocks(self, key: str) -> Iterator[Block]:
        """Yield a file's rows in order; DataError where they can't be used."""
        config, first = self.config, 0
        blocks = read_blocks(self.files[key], separator=config.separator)
        for rows in islice(blocks, self.max_blocks):
            # As text: whether a column is numbers throughout, no block knows.
            table = clean(rows, config.missing_values, as_text=rows.frame.columns)
            parts = self._split(key, table, first)
            yield Block(table, parts, first, len(table), missing_cells(table, config.target))
            first += len(table)

    def _split(self, key: str, table: Table, first: int) -> dict[str, np.ndarray]:
        config = self.config
        kept = present(table, config.target, config.missing_values)
        if key in FILE_PARTS:
            return {FILE_PARTS[key]: kept}
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


@dataclass(frozen=True)
class HeldRows(RowSource):
    """Files that were read."""

    is_held: ClassVar[bool] = True

    headers: dict[str, Table]
    held: dict[str, list[Block]]

    def header(self, key: str) -> Table:
        """Return a file's columns, without rows."""
        return self.headers[key]

    def blocks(self, key: str) -> Iterator[Block]:
        """Yield the rows of each part."""
        yield from self.held[key]


def read_tables(config: DataConfig, files: Mapping[str, Path]) -> dict[str, Table]:
    """Read whole files, their numbers as such; DataError, StorageError.

    Whether text is numbers is looked at once, for all columns together, which is fastest.
    """
    tables: dict[str, Table] = {}
    as_text = {config.target, *filter(None, [config.split.column])}
    as_text |= {name for name, kind in config.kinds.items() if not kind_named(kind).accepts_numbers}
    for key, file in files.items():
        table = read_table(file, separator=config.separator)
        tables[key] = clean(table, config.missing_values, as_text=as_text)
        # What the first file doesn't take for numbers must be the same labels in the others.
        schema = tables[key].frame.schema
        as_text |= {name for name, dtype in schema.items() if dtype == pl.String}
    return tables


def hold_rows(
    config: DataConfig, files: dict[str, Path], tables: dict[str, Table], seed: int
) -> HeldRows:
    """Split tables, which are taken out of their mapping, so that they aren't in memory twice.

    A table that can't be learned from is refused before it is split by classes; DataError.
    """
    headers = {key: table.take(np.empty(0, np.int64)) for key, table in tables.items()}
    statistics = {
        key: FileStatistics(headers[key], len(table), missing_cells(table, config.target))
        for key, table in tables.items()
    }
    for file in statistics.values():
        refuse_missing_target(file, config)
    held = {}
    for key in files:
        file, rows = statistics[key], tables.pop(key)
        if file.missing_target.count:
            rows = rows.take(present(rows, config.target, config.missing_values))
        held[key] = _blocks(rows, _split(key, rows, config, seed), file)
    return HeldRows(config, files, seed, headers, held)


def _split(key: str, rows: Table, config: DataConfig, seed: int) -> dict[str, np.ndarray]:
    if key in FILE_PARTS:
        return {FILE_PARTS[key]: np.arange(len(rows))}
    task, has_shares = config.task, config.split.column is None
    if task is None or (has_shares and task != "regression"):
        whole = column_statistics(rows, config.target, config.missing_values, wants_labels=True)
        task, _ = choose_task(whole, config)
    if config.split.column is not None:
        split = split_by_column(rows, config.split.column)
    else:
        split = split_by_shares(
            len(rows),
            validation=config.split.validation,
            test=config.split.test,
            seed=seed,
            strata=_strata(rows, config, task),
        )
    return {part: getattr(split, part) for part in PARTS}


def _strata(rows: Table, config: DataConfig, task: Task) -> np.ndarray | None:
    """Return a number for each row's class, int64 [rows]; None for numbers."""
    if task == "regression":
        return None
    labels = class_labels(read_cells(rows, config.target, config.missing_values))
    return labels.rank("dense").to_numpy().astype(np.int64)


def _blocks(rows: Table, parts: dict[str, np.ndarray], file: FileStatistics) -> list[Block]:
    """Return a block for each part that has rows; the first one stands for all of the file."""
    tables = Block(rows, parts, 0, len(rows), CellCount()).tables()
    counts = [(file.num_rows, file.missing_target), *[(0, CellCount())] * len(parts)]
    return [
        Block(table, {part: np.arange(len(table))}, 0, *count)
        for (part, table), count in zip(tables, counts, strict=False)
    ]


def missing_cells(table: Table, name: str) -> CellCount:
    """Return the missing cells of a column of a cleaned table."""
    gaps = table.column(name).is_null().arg_true()
    return CellCount(len(gaps), int(table.numbers[gaps[0]])) if len(gaps) else CellCount()
