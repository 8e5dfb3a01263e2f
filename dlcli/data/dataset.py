"""A config's `data` → training, validation and test rows, encoded by what training rows show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from dlcli.config import LoadedConfig
from dlcli.config.data import DataConfig, Task
from dlcli.data.cells import clean, read_cells
from dlcli.data.columns import Oddity
from dlcli.data.fitted import FittedData
from dlcli.data.fitting import ColumnReport, fit_data
from dlcli.data.reading import checksum, read_table
from dlcli.data.splits import Split, split_by_column, split_by_shares
from dlcli.data.table import Table
from dlcli.data.target import class_labels, infer_task, present, refuse_missing, refuse_mixed
from dlcli.errors import ConfigError, DataError, Problem, suggest


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
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    checksums: dict[str, str]  # SHA-256 of each file, by the config key that names it


def load_dataset(loaded: LoadedConfig, found: list[Problem] | None = None) -> Dataset:
    """Read, split, fit and encode.

    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, StorageError where it can't be read. With `found`, names of columns that aren't there are
    added to it and left out, so that the rest can be checked.
    """
    config = loaded.config.data
    files = {
        key: loaded.folder / name
        for key in ("path", "validation_path", "test_path")
        if (name := getattr(config, key)) is not None
    }
    tables: dict[str, Table] = {}
    as_text = {config.target, *config.kinds, *filter(None, [config.split.column])}
    for key, file in files.items():
        table = read_table(file, separator=config.separator)
        tables[key] = clean(table, config.missing_values, as_text=as_text)
        # What the first file doesn't take for numbers must be the same labels in the others.
        schema = tables[key].frame.schema
        as_text |= {name for name, dtype in schema.items() if dtype == pl.String}
    problems = list(_name_problems(loaded, tables["path"]))
    if problems:
        sound = _without_unknown(config, tables["path"].frame.columns)
        if found is None or sound is None:
            raise ConfigError(*loaded.in_order([*(found or []), *problems]))
        found += problems
        config = sound
        loaded = replace(loaded, config=loaded.config.model_copy(update={"data": config}))
    notes: list[str] = []
    tables = {key: _with_target(table, config, notes) for key, table in tables.items()}
    # Once, for the split and the network alike: a run's rows must come out the same again.
    task = config.task or _infer_task(tables["path"], config, notes)
    split = _split(loaded, tables["path"], task)
    parts = {
        "train": tables["path"].take(split.train),
        "validation": tables.get("validation_path") or tables["path"].take(split.validation),
        "test": tables.get("test_path") or tables["path"].take(split.test),
    }
    _refuse_empty(parts, config)
    fitted, columns, said = fit_data(loaded, parts["train"], task)
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
        columns=columns,
        notes=tuple(notes),
        checksums={key: checksum(file) for key, file in files.items()},
    )


def encode_file(fitted: FittedData, path: Path, config: DataConfig) -> tuple[Part, list[str]]:
    """Read and encode a whole file that has the target, as training did, and say what is odd.

    Raises DataError where it can't be used.
    """
    notes: list[str] = []
    table = _with_target(read_table(path, separator=fitted.separator), config, notes)
    part, oddities = _encode(fitted, table)
    return part, [*notes, *map(str, oddities)]


def _encode(fitted: FittedData, rows: Table) -> tuple[Part, list[Oddity]]:
    features, oddities = fitted.encode_features(rows)
    return Part(features, fitted.encode_target(rows)), oddities


def _name_problems(loaded: LoadedConfig, table: Table) -> Iterator[Problem]:
    """Yield a problem for every column that the config names and can't have there."""
    config = loaded.config.data
    named = [
        *((("data", "target"), name) for name in [config.target]),
        *((("data", "features", index), name) for index, name in enumerate(config.features or ())),
        *((("data", "kinds", name), name) for name in config.kinds),
        *((("data", "split", "column"), name) for name in [config.split.column] if name),
    ]
    known = table.frame.columns
    for path, name in named:
        if name not in known:
            hint = suggest(name, known) or f"; its columns: {', '.join(known[:20])}"
            yield loaded.problem(path, f"{table.source} has no column '{name}'{hint}")
    for name in config.kinds:
        path = ("data", "kinds", name)
        if name == config.target:
            yield loaded.problem(path, "the target has no kind; set data.task instead")
        elif name == config.split.column:
            yield loaded.problem(path, f"does nothing: '{name}' is the split column")
        elif name in known and config.features is not None and name not in config.features:
            yield loaded.problem(path, f"does nothing: '{name}' is not among data.features")
    if config.features is not None and config.split.column in config.features:
        yield loaded.problem(("data", "features"), "the split column is no feature")


def _without_unknown(config: DataConfig, known: list[str]) -> DataConfig | None:
    """Return the config without the names that are not known; None where it can't do without."""
    needed = [config.target, *([config.split.column] if config.split.column else [])]
    features = config.features
    if features is not None:
        features = tuple(name for name in features if name in known and name not in needed)
    if features == () or not set(needed) <= set(known):
        return None
    kinds = {
        name: kind for name, kind in config.kinds.items() if name in known and name not in needed
    }
    return config.model_copy(update={"features": features, "kinds": kinds})


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
    refuse_mixed(table, config.target, config.missing_values)
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
        seed=loaded.config.seed if config.split.seed is None else config.split.seed,
        strata=strata,
    )


def _refuse_empty(parts: dict[str, Table], config: DataConfig) -> None:
    wanted = {
        "train": True,
        "validation": config.split.validation > 0,
        "test": config.split.test > 0,
    }
    for name, rows in parts.items():
        if wanted[name] and not len(rows):
            total = sum(len(part) for part in parts.values())
            raise DataError(
                f"{rows.source}: too few rows for the split: {total} in all leave none for {name}; "
                "change data.split or add rows"
            )
