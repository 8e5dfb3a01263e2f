"""Rows read from files, each in the same part at every pass: block by block, or held in memory."""

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import ClassVar, TypeVar

import numpy as np
import polars as pl

from dlcli.columns.cells import clean, read_cells, to_labels
from dlcli.columns.column_statistics import CellCount
from dlcli.columns.family import column_statistics, kind_named
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics, choose_task, refuse_missing_target
from dlcli.data.splits import (
    PARTS,
    TimeCuts,
    TimeReader,
    draw_groups,
    draw_split,
    split_by_column,
    split_by_groups,
    split_by_shares,
)
from dlcli.data.splits.groups import group_labels, group_note
from dlcli.data.weights import all_weightless, first_of, weigh
from dlcli.errors import DataError
from dlcli.tables.reading import read_blocks, read_table
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.tables.text.text_format import TextFormat
from dlcli.targets.base import present
from dlcli.targets.task import Task

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
            file.missing_target += missing_cells(table, self.config.target)
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
                missing_cells(table, self.config.target),
                missing_groups(table.take(kept), self.config, key),
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
            found = self.cuts.split(TimeReader(split.time, self.cuts.kind).read(table.take(kept)))
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


def read_tables(config: DataConfig, files: Mapping[str, Source]) -> dict[str, Table]:
    """Read whole files, their numbers as such; DataError, StorageError.

    Whether text is numbers is looked at once, for all columns together, which is fastest.
    """
    tables: dict[str, Table] = {}
    as_text = {config.target, *filter(None, [config.split.column, config.split.group])}
    as_text |= {name for name, kind in config.kinds.items() if not kind_named(kind).accepts_numbers}
    for key, file in files.items():
        table = read_table(file, config.text_format)
        tables[key] = clean(table, config.missing_values, as_text=as_text)
        # What the first file doesn't take for numbers must be the same labels in the others.
        schema = tables[key].frame.schema
        as_text |= {name for name, dtype in schema.items() if dtype == pl.String}
    return tables


def hold_rows(
    config: DataConfig, files: dict[str, Source], tables: dict[str, Table], seed: int
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
    cuts, notes = None, list[str]()
    for key in files:
        file, rows = statistics[key], tables.pop(key)
        kept, zeros = weigh_rows(rows, config)
        weightless = rows.take(zeros)
        if len(kept) < len(rows):
            rows = rows.take(kept)
        if len(weightless) and not len(rows):
            raise all_weightless(str(config.weight), weightless.place(0))
        if key not in FILE_PARTS and config.split.time is not None:
            cuts = _cuts(rows, config)
            notes += cuts.notes(config.split.time)
        file.missing_group = missing_groups(rows, config, key)
        parts = _split(key, rows, config, seed, cuts)
        if key not in FILE_PARTS and config.split.group is not None:
            notes.append(group_note(group_labels(rows, config.split.group), parts))
        others = _weightless_parts(key, weightless, parts, config)
        held[key] = _blocks(rows, parts, file, others)
    return HeldRows(config, files, seed, headers, held, cuts=cuts, split_notes=tuple(notes))


def weigh_rows(rows: Table, config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that have a target and count, and those that don't count, as indices.

    DataError for a weight that can't be one.
    """
    kept = present(rows, config.target, config.missing_values)
    if config.weight is None:
        return kept, np.empty(0, np.int64)
    weighing = weigh(rows.take(kept), config.weight, config.missing_values)
    return kept[weighing.kept], kept[weighing.weightless]


def _weightless_parts(
    key: str, rows: Table, parts: dict[str, np.ndarray], config: DataConfig
) -> dict[str, CellCount]:
    """Return how many rows of each part don't count; DataError where those are all of a part."""
    if not len(rows):
        return {}
    if key in FILE_PARTS or config.split.column is None:
        return {FILE_PARTS.get(key, "train"): first_of(rows, np.arange(len(rows)))}
    by_column = split_by_column(rows, config.split.column)
    found = {part: first_of(rows, getattr(by_column, part)) for part in PARTS}
    for part, cells in found.items():
        if cells.count and not len(parts[part]):
            place = rows.place_of(cells.number)
            raise all_weightless(str(config.weight), place, part)
    return found


def _cuts(rows: Table, config: DataConfig) -> TimeCuts:
    """Return where the parts of held rows begin in time; DataError."""
    split = config.split
    reader = TimeReader(str(split.time), max_times=len(rows))
    reader.add(rows)
    return reader.cuts(rows.source, validation=split.validation, test=split.test)


def _split(
    key: str, rows: Table, config: DataConfig, seed: int, cuts: TimeCuts | None
) -> dict[str, np.ndarray]:
    if key in FILE_PARTS:
        return {FILE_PARTS[key]: np.arange(len(rows))}
    task, split = config.task, config.split
    if task is None or (split.column is None and split.time is None and task != "regression"):
        whole = column_statistics(rows, config.target, config.missing_values, wants_labels=True)
        task, _ = choose_task(whole, config)
    shares = {"validation": split.validation, "test": split.test}
    if split.column is not None:
        found = split_by_column(rows, split.column)
    elif cuts is not None:
        found = cuts.split(TimeReader(str(split.time), cuts.kind).read(rows))
    else:
        strata = _strata(rows, config, task)
        if split.group is not None:
            found = split_by_groups(rows, split.group, seed=seed, strata=strata, **shares)
        else:
            found = split_by_shares(len(rows), seed=seed, strata=strata, **shares)
    return found.by_part()


def _strata(rows: Table, config: DataConfig, task: Task) -> np.ndarray | None:
    """Return a number for each row's class, int64 [rows]; None for numbers."""
    if task == "regression":
        return None
    labels = to_labels(read_cells(rows, config.target, config.missing_values))
    return labels.rank("dense").to_numpy().astype(np.int64)


def _blocks(
    rows: Table,
    parts: dict[str, np.ndarray],
    file: FileStatistics,
    weightless: dict[str, CellCount],
) -> list[Block]:
    """Return a block for each part that has rows; the first one stands for all of the file."""
    tables = Block(rows, parts, 0, len(rows), CellCount(), CellCount()).tables()
    whole = (file.num_rows, file.missing_target, file.missing_group, weightless)
    counts = [whole, *[(0, CellCount(), CellCount(), dict[str, CellCount]())] * len(parts)]
    return [
        Block(table, {part: np.arange(len(table))}, 0, *count)
        for (part, table), count in zip(tables, counts, strict=False)
    ]


def missing_cells(table: Table, name: str) -> CellCount:
    """Return the missing cells of a column of a cleaned table."""
    gaps = table.column(name).is_null().arg_true()
    return CellCount(len(gaps), int(table.numbers[gaps[0]])) if len(gaps) else CellCount()


def missing_groups(table: Table, config: DataConfig, key: str) -> CellCount:
    """Return the missing cells of the column of groups; none where the file isn't split."""
    group = config.split.group
    return CellCount() if group is None or key in FILE_PARTS else missing_cells(table, group)
