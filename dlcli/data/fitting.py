"""Training rows → all that is fitted to them, and what became of each column."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.config import LoadedConfig
from dlcli.config.data import ColumnKind, DataConfig, Task
from dlcli.data.cells import has_encoding, parse_numbers, read_cells, refuse_unparsed, to_labels
from dlcli.data.columns import CategoricalColumn, FittedColumn, fit_column
from dlcli.data.fitted import FittedData
from dlcli.data.kinds import infer_kind
from dlcli.data.table import Table
from dlcli.data.target import ClassTarget, fit_target
from dlcli.errors import DataError


@dataclass(frozen=True)
class ColumnReport:
    """What became of a column, for people to read."""

    name: str
    kind: ColumnKind | None
    reason: str
    num_missing: int  # in the training rows
    encoding: str


def fit_data(
    loaded: LoadedConfig, rows: Table, task: Task
) -> tuple[FittedData, tuple[ColumnReport, ...], list[str]]:
    """Fit to the training rows; return what is fitted, what became of each column, and notes.

    Raises ConfigError where the config and the rows don't fit, DataError where nothing can be
    learned from them.
    """
    config = loaded.config.data
    notes = []
    target = fit_target(rows, task, config)
    if isinstance(target, ClassTarget):
        written = set(to_labels(read_cells(rows, config.target, config.missing_values)))
        if other := sorted(written - set(target.classes)):
            notes.append(
                f"classes are written {', '.join(target.classes[:5])} in results, where the data "
                f"has {', '.join(map(str, other[:5]))} too"
            )
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
        reasons = [f"'{report.name}': {report.reason}" for report in reports]
        raise DataError(
            f"{rows.source}: no column to learn from: "
            + ("; ".join(reasons) or f"there is only the target '{config.target}'")
        )
    _check_shape(loaded, used)
    fitted = FittedData(
        columns=tuple(used),
        target=target,
        shape=config.shape,
        missing_values=config.missing_values,
        separator=config.separator,
    )
    return fitted, tuple(reports), notes + list(_constant(rows, used, config))


def _fit_feature(
    loaded: LoadedConfig, rows: Table, name: str
) -> tuple[FittedColumn | None, ColumnReport]:
    config = loaded.config.data
    if name not in config.kinds and not has_encoding(rows.column(name).dtype):
        return _left_out(loaded, name, f"its type, {rows.column(name).dtype}, has no encoding", 0)
    cells = read_cells(rows, name, config.missing_values)
    kind, reason = config.kinds.get(name), "data.kinds says so"
    if kind is None:
        inference = infer_kind(cells)
        kind, reason = inference.kind, inference.reason
        if inference.mixed:
            refuse_unparsed(rows, cells, parse_numbers(cells), "a number")
    if kind is None:
        return _left_out(loaded, name, reason, cells.null_count())
    column = fit_column(name, kind, rows, config)
    return column, ColumnReport(name, kind, reason, cells.null_count(), _encoding(column, config))


def _left_out(
    loaded: LoadedConfig, name: str, reason: str, num_missing: int
) -> tuple[None, ColumnReport]:
    """Leave a column out; ConfigError where the config names it as a feature."""
    features = loaded.config.data.features
    if features is not None:
        path = ("data", "features", features.index(name))
        raise loaded.error(path, f"'{name}' can't be used: {reason}")
    return None, ColumnReport(name, None, reason, num_missing, "left out (data.features)")


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
        if _is_constant(read_cells(rows, column.name, config.missing_values), column.kind)
    ]
    if names:
        yield f"the same value in every training row, so of no use: {', '.join(names)}"


def _is_constant(cells: pl.Series, kind: ColumnKind) -> bool:
    if kind != "numeric":
        return cells.n_unique() == 1
    numbers = parse_numbers(cells)
    return numbers.null_count() == 0 and numbers.min() == numbers.max()
