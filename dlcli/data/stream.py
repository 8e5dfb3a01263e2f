"""Rows read from files block by block, each in the same part at every pass."""

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import islice
from operator import and_
from typing import ClassVar, TypeVar

import numpy as np

from dlcli.columns.cells import clean
from dlcli.columns.column_statistics import CellCount
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics, refuse_missing_target
from dlcli.data.splits import (
    PARTS,
    TimeCuts,
    TimeReader,
    draw_groups,
    draw_split,
    split_by_column,
)
from dlcli.data.splits.groups import group_labels
from dlcli.data.weights import first_of, read_weights
from dlcli.errors import DataError
from dlcli.tables.reading import read_blocks
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import TextFormat
from dlcli.targets.base import present

Result = TypeVar("Result")
FILE_PARTS = {"validation_path": "validation", "test_path": "test"}  # of files that are one part


@dataclass(frozen=True)
class Reading:
    """Somewhere in a source, as it is read block by block."""

    purpose: str  # what for, in words
    source: str
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
    parts: dict[str, np.ndarray]  # which of the rows each part has: indices, of those that count
    first: int  # the index in the file of the first row
    num_rows: int  # of the file that the block stands for, those left out included
    missing_target: CellCount  # among these
    missing_group: CellCount  # among these, of rows with a target
    weightless: dict[str, CellCount] = field(default_factory=dict)  # more rows of parts: weight 0

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
    files: dict[str, Source]  # by the config key that names it, "path" first
    seed: int  # of the split
    cuts: TimeCuts | None = field(default=None, kw_only=True)  # of a split by times
    split_notes: tuple[str, ...] = field(default=(), kw_only=True)  # what was decided about it

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
    form: TextFormat | None = None  # how text files are written; None: as the config says

    def settle(self) -> Generator[Reading, None, "Stream"]:
        """Return the stream that knows where its parts begin; a split by times takes a pass.

        Raises DataError where rows have no times, or too few.
        """
        split = self.config.split
        if split.time is None:
            return self
        started = time.perf_counter()
        path, file = self.files["path"].name, FileStatistics(self.header("path"))
        reader, unusable = TimeReader(split.time), None
        for table in self._tables("path"):
            file.num_rows += len(table)
            file.missing_target += missing_targets(table, self.config)
            kept, _ = weigh_rows(table, self.config)
            try:
                reader.add(table.take(kept))
            except DataError as error:
                unusable = unusable or error
            yield Reading("times", path, file.num_rows, time.perf_counter() - started)
        yield Reading("times", path, file.num_rows, time.perf_counter() - started, is_over=True)
        refuse_missing_target(file, self.config)
        if unusable is not None:
            raise unusable
        cuts = reader.cuts(str(path), validation=split.validation, test=split.test)
        return replace(self, cuts=cuts, split_notes=tuple(cuts.notes(split.time)))

    def header(self, key: str) -> Table:
        """Return a file's columns, without rows."""
        block = next(iter(read_blocks(self.files[key], self.form or self.config.text_format)))
        return block.take(np.empty(0, np.int64))

    def blocks(self, key: str) -> Iterator[Block]:
        """Yield a file's rows in order; DataError where they can't be used."""
        first = 0
        for table in self._tables(key):
            kept, weightless = weigh_rows(table, self.config)
            others: dict[str, np.ndarray] = {}
            if len(weightless):  # which need no time
                has_time = self.config.split.time is not None and key not in FILE_PARTS
                others = {"train": weightless}
                others = others if has_time else self._split(key, table, weightless, first)
            yield Block(
                table,
                self._split(key, table, kept, first),
                first,
                len(table),
                missing_targets(table, self.config),
                missing_groups(table, self.config, key, kept),
                {part: first_of(table, rows) for part, rows in others.items()},
            )
            first += len(table)

    def _tables(self, key: str) -> Iterator[Table]:
        """Yield a file's rows, null for what is missing, and text where that may be numbers."""
        blocks = read_blocks(self.files[key], self.form or self.config.text_format)
        for rows in islice(blocks, self.max_blocks):
            # As text: whether a column is numbers throughout, no block knows.
            yield clean(rows, self.config.missing_values, as_text=rows.frame.columns)

    def _split(self, key: str, table: Table, kept: np.ndarray, first: int) -> dict[str, np.ndarray]:
        if key in FILE_PARTS:
            return {FILE_PARTS[key]: kept}
        split = self.config.split
        shares = {"validation": split.validation, "test": split.test}
        if split.column is not None:
            found = split_by_column(table.take(kept), split.column)
        elif split.time is not None:
            assert self.cuts is not None, "the stream is settled"
            found = self.cuts.split(
                TimeReader(split.time, self.cuts.are_dates).read(table.take(kept))
            )
        else:  # of all rows: where a row falls doesn't depend on others' targets
            if split.group is not None:
                labels = group_labels(table, split.group)
                drawn = draw_groups(labels, first, seed=self.seed, **shares)
            else:
                drawn = draw_split(first, len(table), seed=self.seed, **shares)
            is_kept = np.zeros(len(table), bool)
            is_kept[kept] = True
            by_part = drawn.by_part().items()
            return {part: rows[is_kept[rows]] for part, rows in by_part if len(rows)}
        return {part: kept[rows] for part, rows in found.by_part().items()}


def weigh_rows(rows: Table, config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that have a target and count, and those that don't count, as indices.

    DataError for a weight that can't be one.
    """
    kept = present(rows, config.targets, config.missing_values)
    if config.weight is None:
        return kept, np.empty(0, np.int64)
    counts = read_weights(rows.take(kept), config.weight, config.missing_values) > 0
    return kept[counts], kept[~counts]


def missing_targets(table: Table, config: DataConfig) -> CellCount:
    """Return the rows of a cleaned table that have no target."""
    gaps = reduce(and_, (table.column(name).is_null() for name in config.targets)).arg_true()
    return CellCount(len(gaps), int(table.numbers[gaps[0]])) if len(gaps) else CellCount()


def missing_groups(
    table: Table, config: DataConfig, key: str, kept: np.ndarray | None = None
) -> CellCount:
    """Return the missing groups of some rows, by default all; none where the file isn't split."""
    group = config.split.group
    if group is None or key in FILE_PARTS:
        return CellCount()
    is_missing = table.column(group).is_null().to_numpy()
    gaps = np.flatnonzero(is_missing) if kept is None else kept[is_missing[kept]]
    return CellCount(len(gaps), int(table.numbers[gaps[0]])) if len(gaps) else CellCount()
