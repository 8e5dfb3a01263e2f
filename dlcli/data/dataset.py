"""A config's `data` → training, validation and test rows, encoded by what training rows show."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.columns.base import UnseenCells
from dlcli.columns.cells import clean, read_cells
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.fitted import FittedData
from dlcli.data.fitting import ColumnReport, fit_data
from dlcli.data.memory_estimate import exceeds_memory
from dlcli.data.names import name_problems, without_unknown
from dlcli.data.splits import Split, split_by_column, split_by_shares
from dlcli.data.stream import Reading, Stream, drain
from dlcli.data.streaming import fit_stream, refuse_empty
from dlcli.data.target import class_labels, infer_task, present, refuse_missing, refuse_mixed_target
from dlcli.errors import ConfigError, DataError, Problem
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.table import Table
from dlcli.targets.task import Task


@dataclass(frozen=True)
class Part:
    """Encoded rows."""

    features: np.ndarray  # float32 [rows, num_inputs]
    targets: np.ndarray  # int64 class indices or float32 scaled numbers, [rows]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Dataset:
    """Everything that training needs of the data, and what was decided about it."""

    fitted: FittedData
    task: Task
    parts: Mapping[str, Part]  # by name, "train" first; one without rows is left out
    num_rows: Mapping[str, int]  # of each part
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    checksums: dict[str, str]  # SHA-256 of each file, by the config key that names it
    stream: Stream | None = None  # where the rows are read from instead, if there are no parts


def load_dataset(loaded: LoadedConfig, found: list[Problem] | None = None) -> Dataset:
    """Read, split, fit and encode; what `read_dataset` does, without a word on the way."""
    return drain(read_dataset(loaded, found))


def read_dataset(
    loaded: LoadedConfig, found: list[Problem] | None = None, *, most_blocks: int | None = None
) -> Generator[Reading, None, Dataset]:
    """Read, split, fit and encode, or leave the rows to be streamed.

    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, StorageError where it can't be read. With `found`, names of columns that aren't there are
    added to it and left out, so that the rest can be checked. With `most_blocks`, of a streamed
    file only so many blocks are read, and nothing is said of the rest.
    """
    config = loaded.config.data
    files = _files(loaded)
    reason = None
    if config.streaming == "auto":
        reason = exceeds_memory(files.values(), config)
    if config.streaming is True or reason is not None:
        stream = replace(open_stream(loaded), most_blocks=most_blocks)
        return (yield from _streamed(loaded, stream, found, reason))
    return _held(loaded, files, found)


def open_stream(loaded: LoadedConfig) -> Stream:
    """Return the stream of a config's files."""
    return Stream(loaded.config.data, _files(loaded), _split_seed(loaded))


def _files(loaded: LoadedConfig) -> dict[str, Path]:
    return {
        key: loaded.folder / name
        for key in ("path", "validation_path", "test_path")
        if (name := getattr(loaded.config.data, key)) is not None
    }


def _streamed(
    loaded: LoadedConfig, stream: Stream, found: list[Problem] | None, reason: str | None
) -> Generator[Reading, None, Dataset]:
    loaded = _with_known_names(loaded, stream.header("path"), found)
    stream = replace(stream, config=loaded.config.data)
    fit = yield from fit_stream(loaded, stream)
    notes = fit.notes
    if reason is not None:
        notes = (f"rows are streamed from disk: {reason} (data.streaming)", *notes)
    whole = stream.most_blocks is None
    return Dataset(
        fitted=fit.fitted,
        task=fit.task,
        parts={},
        num_rows=fit.num_rows,
        columns=fit.columns,
        notes=notes,
        checksums={key: checksum(file) for key, file in stream.files.items() if whole},
        stream=stream,
    )


def load_tables(loaded: LoadedConfig, most_rows: int) -> dict[str, Table]:
    """Return the rows of each part that has some as they stand in the files.

    Of a part with more than `most_rows`, so many: evenly taken from all where rows are held, the
    first ones where they are streamed. Raises what `load_dataset` does.
    """
    if loaded.config.data.streaming is True:
        return _first_rows(open_stream(loaded), most_rows)
    parts = _split_tables(loaded, _files(loaded), None, []).parts
    return {
        name: rows.take(np.unique(np.linspace(0, len(rows) - 1, most_rows).astype(np.int64)))
        for name, rows in parts.items()
        if len(rows)
    }


def _first_rows(stream: Stream, most_rows: int) -> dict[str, Table]:
    found: dict[str, list[Table]] = {}
    missing: dict[str, int] = {}
    for key in stream.files:
        for block in stream.blocks(key):
            for part, rows in block.parts.items():
                lacking = missing.setdefault(part, most_rows)
                if lacking and len(rows):
                    found.setdefault(part, []).append(block.rows.take(rows[:lacking]))
                    missing[part] -= min(lacking, len(rows))
            if not any(missing.values()):
                break
    return {
        name: replace(
            tables[0],
            frame=pl.concat([table.frame for table in tables]),
            numbers=np.concatenate([table.numbers for table in tables]),
        )
        for name, tables in found.items()
    }


@dataclass(frozen=True)
class _Tables:
    """Held rows, not encoded yet."""

    loaded: LoadedConfig  # with names of columns that are there
    task: Task
    parts: dict[str, Table]  # by name, those without rows too


def _split_tables(
    loaded: LoadedConfig, files: dict[str, Path], found: list[Problem] | None, notes: list[str]
) -> _Tables:
    """Read the files and tell which rows train, watch and judge."""
    config = loaded.config.data
    tables: dict[str, Table] = {}
    as_text = {config.target, *config.kinds, *filter(None, [config.split.column])}
    for key, file in files.items():
        table = read_table(file, separator=config.separator)
        tables[key] = clean(table, config.missing_values, as_text=as_text)
        # What the first file doesn't take for numbers must be the same labels in the others.
        schema = tables[key].frame.schema
        as_text |= {name for name, dtype in schema.items() if dtype == pl.String}
    loaded = _with_known_names(loaded, tables["path"], found)
    config = loaded.config.data
    tables = {key: _with_target(table, config, notes) for key, table in tables.items()}
    # Once, for the split and the network alike: a run's rows must come out the same again.
    task = config.task or _infer_task(tables["path"], config, notes)
    split = _split(loaded, tables["path"], task)
    parts = {
        "train": tables["path"].take(split.train),
        "validation": tables.get("validation_path") or tables["path"].take(split.validation),
        "test": tables.get("test_path") or tables["path"].take(split.test),
    }
    num_rows = {name: len(rows) for name, rows in parts.items()}
    refuse_empty(num_rows, tables["path"].source, config)
    return _Tables(loaded, task, parts)


def _held(loaded: LoadedConfig, files: dict[str, Path], found: list[Problem] | None) -> Dataset:
    notes: list[str] = []
    tables = _split_tables(loaded, files, found, notes)
    parts, task = tables.parts, tables.task
    fitted, columns, said = fit_data(tables.loaded, parts["train"], task)
    notes += said
    encoded = {}
    for name, rows in parts.items():
        if len(rows):
            encoded[name], oddities = _encode(fitted, rows)
            notes += [f"{name} rows: {odd}" for odd in oddities]
    return Dataset(
        fitted=fitted,
        task=task,
        parts=encoded,
        num_rows={name: len(part) for name, part in encoded.items()},
        columns=columns,
        notes=tuple(notes),
        checksums={key: checksum(file) for key, file in files.items()},
    )


def _with_known_names(
    loaded: LoadedConfig, table: Table, found: list[Problem] | None
) -> LoadedConfig:
    """Return the config with names of columns that are there; ConfigError where others can't go."""
    problems = list(name_problems(loaded, table))
    if not problems:
        return loaded
    sound = without_unknown(loaded.config.data, table.frame.columns)
    if found is None or sound is None:
        raise ConfigError(*loaded.in_order([*(found or []), *problems]))
    found += problems
    return replace(loaded, config=loaded.config.model_copy(update={"data": sound}))


def _split_seed(loaded: LoadedConfig) -> int:
    seed = loaded.config.data.split.seed
    return loaded.config.seed if seed is None else seed


def encode_file(fitted: FittedData, path: Path, config: DataConfig) -> tuple[Part, list[str]]:
    """Read and encode a whole file that has the target, as training did, and say what is odd.

    Raises DataError where it can't be used.
    """
    notes: list[str] = []
    table = _with_target(read_table(path, separator=fitted.separator), config, notes)
    part, oddities = _encode(fitted, table)
    return part, [*notes, *map(str, oddities)]


def encode_table(fitted: FittedData, rows: Table) -> Part:
    """Encode rows that have the target, as training did; DataError where that can't be done."""
    part, _ = _encode(fitted, rows)
    return part


def _encode(fitted: FittedData, rows: Table) -> tuple[Part, list[UnseenCells]]:
    features, oddities = fitted.encode_features(rows)
    return Part(features, fitted.encode_target(rows)), oddities


def _with_target(table: Table, config: DataConfig, notes: list[str]) -> Table:
    if not config.drop_missing_target:
        refuse_missing(table, config.target, config.missing_values)
        return table
    kept = present(table, config.target, config.missing_values)
    if len(kept) == len(table):
        return table
    if not len(kept):
        raise DataError(f"{table.source}: the target '{config.target}' is missing in every row")
    notes.append(
        f"{table.source}: {len(table) - len(kept)} of {len(table)} rows left out, without "
        f"'{config.target}' (data.drop_missing_target)"
    )
    return table.take(kept)


def _infer_task(table: Table, config: DataConfig, notes: list[str]) -> Task:
    refuse_mixed_target(table, config.target, config.missing_values)
    task, reason = infer_task(read_cells(table, config.target, config.missing_values))
    notes.append(f"task: {task}, as '{config.target}' has {reason} (data.task)")
    return task


def _split(loaded: LoadedConfig, table: Table, task: Task) -> Split:
    config = loaded.config.data
    if config.split.column is not None:
        return split_by_column(table, config.split.column)
    strata = None
    if task != "regression":
        cells = read_cells(table, config.target, config.missing_values)
        strata = class_labels(cells).rank("dense").to_numpy().astype(np.int64)
        if strata.max() == len(strata) > 2:
            raise DataError(
                f"{table.source}: the target '{config.target}' has a class of its own in each row; "
                "there is nothing to learn"
            )
    return split_by_shares(
        len(table),
        validation=config.split.validation,
        test=config.split.test,
        seed=_split_seed(loaded),
        strata=strata,
    )
