"""A config's `data` → training, validation and test rows, encoded by what training rows show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.config import LoadedConfig
from dlcli.config.data import ColumnKind, DataConfig, Task
from dlcli.data.cells import parse_numbers, read_cells, refuse_unparsed, to_labels
from dlcli.data.columns import CategoricalColumn, FittedColumn, Oddity, fit_column
from dlcli.data.fitted import FittedData
from dlcli.data.kinds import infer_kind
from dlcli.data.reading import checksum, read_table
from dlcli.data.splits import Split, split_by_column, split_by_shares
from dlcli.data.table import Table
from dlcli.data.target import fit_target, infer_task, present, refuse_missing
from dlcli.errors import ConfigError, DataError, suggest


@dataclass(frozen=True)
class Part:
    """Encoded rows."""

    features: np.ndarray  # float32 [rows, num_inputs]
    targets: np.ndarray  # int64 class indices or float32 scaled numbers, [rows]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class ColumnReport:
    """What became of a column, for people to read."""

    name: str
    kind: ColumnKind | None
    reason: str
    num_missing: int  # in the training rows
    encoding: str


@dataclass(frozen=True)
class Dataset:
    """Everything that training needs of the data, and what was decided about it."""

    fitted: FittedData
    task: Task
    parts: Mapping[str, Part]  # by name, "train" first; one without rows is left out
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    checksums: dict[str, str]  # SHA-256 of each file, by the config key that names it


def load_dataset(loaded: LoadedConfig) -> Dataset:
    """Read, split, fit and encode.

    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, StorageError where it can't be read.
    """
    config = loaded.config.data
    files = {
        key: loaded.folder / name
        for key in ("path", "validation_path", "test_path")
        if (name := getattr(config, key)) is not None
    }
    tables = {key: read_table(file, separator=config.separator) for key, file in files.items()}
    _check_names(loaded, tables["path"])
    notes: list[str] = []
    tables = {key: _with_target(table, config, notes) for key, table in tables.items()}
    split = _split(loaded, tables["path"])
    parts = {
        "train": tables["path"].take(split.train),
        "validation": tables.get("validation_path") or tables["path"].take(split.validation),
        "test": tables.get("test_path") or tables["path"].take(split.test),
    }
    _refuse_empty(parts, config)
    fitted, task, columns, said = _fit(loaded, parts["train"])
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


def encode_file(fitted: FittedData, path: Path) -> tuple[Part, list[Oddity]]:
    """Read and encode a whole file that has the target; DataError where it can't be used."""
    return _encode(fitted, read_table(path, separator=fitted.separator))


def _encode(fitted: FittedData, rows: Table) -> tuple[Part, list[Oddity]]:
    features, oddities = fitted.encode_features(rows)
    return Part(features, fitted.encode_target(rows)), oddities


def _check_names(loaded: LoadedConfig, table: Table) -> None:
    """Raise ConfigError for every column that the config names and the table doesn't have."""
    config = loaded.config.data
    named = [
        *((("data", "target"), name) for name in [config.target]),
        *((("data", "features", index), name) for index, name in enumerate(config.features or ())),
        *((("data", "kinds", name), name) for name in config.kinds),
        *((("data", "split", "column"), name) for name in [config.split.column] if name),
    ]
    known = table.frame.columns
    problems = []
    for path, name in named:
        if name not in known:
            hint = suggest(name, known) or f"; its columns: {', '.join(known[:20])}"
            problems.append(loaded.problem(path, f"{table.source} has no column '{name}'{hint}"))
    if config.kinds.get(config.target):
        path = ("data", "kinds", config.target)
        problems.append(loaded.problem(path, "the target has no kind; set data.task instead"))
    if config.features is not None and config.split.column in config.features:
        problems.append(loaded.problem(("data", "features"), "the split column is no feature"))
    if problems:
        raise ConfigError(*loaded.in_order(problems))


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


def _split(loaded: LoadedConfig, table: Table) -> Split:
    config = loaded.config.data
    if config.split.column is not None:
        return split_by_column(table, config.split.column)
    cells = read_cells(table, config.target, config.missing_values)
    task = config.task or infer_task(cells)[0]
    strata = None
    if task != "regression":
        labels = to_labels(cells)
        strata = np.unique(labels.to_numpy(), return_inverse=True)[1]
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


def _fit(
    loaded: LoadedConfig, rows: Table
) -> tuple[FittedData, Task, tuple[ColumnReport, ...], list[str]]:
    config = loaded.config.data
    notes = []
    task = config.task
    if task is None:
        task, reason = infer_task(read_cells(rows, config.target, config.missing_values))
        notes.append(f"task: {task}, as '{config.target}' has {reason} (data.task)")
    target = fit_target(rows, task, config)
    used: list[FittedColumn] = []
    reports = []
    for name in config.features or rows.frame.columns:
        if name in (config.target, config.split.column):
            continue
        column, report = _fit_feature(loaded, rows, name)
        reports.append(report)
        if column is not None:
            used.append(column)
    if not used:
        raise DataError(
            f"{rows.source}: no column to learn from: "
            + "; ".join(f"'{report.name}': {report.reason}" for report in reports)
        )
    _check_shape(loaded, used)
    fitted = FittedData(
        columns=tuple(used),
        target=target,
        shape=config.shape,
        missing_values=config.missing_values,
        separator=config.separator,
    )
    return fitted, task, tuple(reports), notes + list(_constant(rows, used, config))


def _fit_feature(
    loaded: LoadedConfig, rows: Table, name: str
) -> tuple[FittedColumn | None, ColumnReport]:
    config = loaded.config.data
    cells = read_cells(rows, name, config.missing_values)
    kind, reason = config.kinds.get(name), "data.kinds says so"
    if kind is None:
        inference = infer_kind(cells)
        kind, reason = inference.kind, inference.reason
        if inference.mixed:
            refuse_unparsed(rows, cells, parse_numbers(cells), "a number")
    if kind is None and config.features is not None:
        index = config.features.index(name)
        raise loaded.error(("data", "features", index), f"'{name}' can't be used: {reason}")
    if kind is None:
        report = ColumnReport(name, None, reason, cells.null_count(), "left out (data.features)")
        return None, report
    column = fit_column(name, kind, rows, config)
    return column, ColumnReport(name, kind, reason, cells.null_count(), _encoding(column, config))


def _encoding(column: FittedColumn, config: DataConfig) -> str:
    if isinstance(column, CategoricalColumn):
        codes = len(column.categories) + column.has_missing
        if column.embedding_dim is None:
            return f"one-hot of {codes}"
        return f"{codes} categories, embedded in {column.embedding_dim}"
    text = {"numeric": config.scale, "boolean": "0 or 1", "datetime": "standard"}[column.kind]
    if column.kind == "datetime" and column.cycles:
        text += f", cycles: {', '.join(column.cycles)}"
    return text + (", median and indicator for missing" if column.indicator else "")


def _check_shape(loaded: LoadedConfig, columns: list[FittedColumn]) -> None:
    shape = loaded.config.data.shape
    if shape is None:
        return
    other = [column.name for column in columns if column.kind not in ("numeric", "boolean")]
    if other:
        raise loaded.error(
            ("data", "shape"),
            f"takes numeric features only; '{other[0]}' is not: name the features in data.features",
        )
    gaps = [column.name for column in columns if getattr(column, "indicator", False)]
    if gaps:
        raise loaded.error(
            ("data", "shape"), f"'{gaps[0]}' has missing values, for which an array has no place"
        )
    if int(np.prod(shape)) != len(columns):
        raise loaded.error(
            ("data", "shape"),
            f"{list(shape)} takes {np.prod(shape)} features, and the data has {len(columns)}",
        )


def _constant(rows: Table, columns: list[FittedColumn], config: DataConfig) -> Iterator[str]:
    names = [
        column.name
        for column in columns
        if read_cells(rows, column.name, config.missing_values).n_unique() == 1
    ]
    if names:
        yield f"the same value in every training row, so of no use: {', '.join(names)}"
