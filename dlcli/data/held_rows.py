"""Rows of files that are read once and held in memory, in their parts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from dlcli.columns.cells import clean, read_cells
from dlcli.columns.column_statistics import CellCount
from dlcli.columns.family import column_statistics, kind_named
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import FileStatistics, choose_task, refuse_missing_target
from dlcli.data.splits import (
    PARTS,
    TimeCuts,
    TimeReader,
    split_by_column,
    split_by_groups,
    split_by_shares,
)
from dlcli.data.splits.groups import group_labels, group_note
from dlcli.data.stream import (
    FILE_PARTS,
    Block,
    RowSource,
    missing_groups,
    missing_targets,
    weigh_rows,
)
from dlcli.data.weights import all_weightless, first_of
from dlcli.tables.reading import read_table
from dlcli.tables.sources import Source
from dlcli.tables.table import Table
from dlcli.targets.family import target_type
from dlcli.targets.task import Task


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
    as_text = {*config.targets, *filter(None, [config.split.column, config.split.group])}
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
        key: FileStatistics(headers[key], len(table), missing_targets(table, config))
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
    split, tasks = config.split, dict[str, Task]()
    for name in config.targets:
        task = config.task_of(name)
        if task is None or (split.column is None and split.time is None and task != "regression"):
            whole = column_statistics(rows, name, config.missing_values, wants_labels=True)
            task, _ = choose_task(whole, config)
        tasks[name] = task
    shares = {"validation": split.validation, "test": split.test}
    if split.column is not None:
        found = split_by_column(rows, split.column)
    elif cuts is not None:
        found = cuts.split(TimeReader(str(split.time), cuts.are_dates).read(rows))
    else:
        found_strata = (strata_of(rows, config, name, task) for name, task in tasks.items())
        strata = next((one for one in found_strata if one is not None), None)
        if split.group is not None:
            found = split_by_groups(rows, split.group, seed=seed, strata=strata, **shares)
        else:
            found = split_by_shares(len(rows), seed=seed, strata=strata, **shares)
    return found.by_part()


def strata_of(
    rows: Table, config: DataConfig, target: str, task: Task | None = None
) -> np.ndarray | None:
    """Return a number for each row, of one class each as a rule, int64 [rows]; None: no strata.

    0 where several targets are predicted and a row lacks this one. `task`: that of the target; by
    default, as the config says.
    """
    task = task or config.task_of(target)
    assert task is not None, "the task is settled"
    cells = read_cells(rows, target, config.missing_values, takes_lists=True)
    settings = config.settings_of(target)
    known = cells.is_not_null().to_numpy()
    found = target_type(task).strata(cells.drop_nulls(), settings)
    if found is None or known.all():
        return found
    strata = np.zeros(len(rows), np.int64)
    strata[known] = found + 1
    return strata


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
