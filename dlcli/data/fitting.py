"""Training rows → all that is fitted to them, and what became of each column."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.columns.base import Column
from dlcli.columns.cells import has_encoding, to_labels
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import ColumnKind, column_statistics, infer_from, kind_named
from dlcli.columns.numeric import refuse_mixed
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.fitted import FittedData
from dlcli.data.target import ClassTarget, fit_target_to_facts
from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.targets.task import Task


@dataclass(frozen=True)
class ColumnReport:
    """What became of a column, for people to read."""

    name: str
    kind: ColumnKind | None
    reason: str
    num_missing: int  # in the training rows
    encoding: str


FactsOf = Callable[[str], ColumnStatistics]  # of a column's training rows, by its name


def fit_data(
    loaded: LoadedConfig, rows: Table, task: Task
) -> tuple[FittedData, tuple[ColumnReport, ...], list[str]]:
    """Fit to the training rows; return what is fitted, what became of each column, and notes.

    Raises ConfigError where the config and the rows don't fit, DataError where nothing can be
    learned from them.
    """
    config = loaded.config.data

    def facts_of(name: str) -> ColumnStatistics:
        kind, is_target = config.kinds.get(name), name == config.target
        return column_statistics(
            rows, name, config.missing_values, kind=kind, wants_labels=is_target
        )

    return fit_to_facts_of(loaded, feature_names(config, rows.frame.columns), facts_of, task)


def feature_names(config: DataConfig, columns: Sequence[str]) -> list[str]:
    """Return the columns that may become features."""
    return [
        name
        for name in config.features or columns
        if name not in (config.target, config.split.column)
    ]


def fit_to_facts_of(
    loaded: LoadedConfig, names: Sequence[str], facts_of: FactsOf, task: Task
) -> tuple[FittedData, tuple[ColumnReport, ...], list[str]]:
    """Fit to the facts of the training rows, asked for one column after the other."""
    config = loaded.config.data
    notes = []
    about_target = facts_of(config.target)
    target = fit_target_to_facts(about_target, task, config)
    if isinstance(target, ClassTarget):
        assert about_target.labels is not None, "the target's labels are gathered"
        written = set(to_labels(about_target.labels.cells))
        if other := sorted(written - set(target.classes)):
            notes.append(
                f"classes are written {', '.join(target.classes[:5])} in results, where the data "
                f"has {', '.join(map(str, other[:5]))} too"
            )
    used: list[Column] = []
    reports = []
    constant = []
    for name in names:
        facts = facts_of(name)
        column, report = _fit_feature(loaded, facts)
        reports.append(report)
        if column is not None:
            used.append(column)
            if column.is_constant(facts):
                constant.append(name)
    if not used:
        reasons = [f"'{report.name}': {report.reason}" for report in reports]
        raise DataError(
            f"{about_target.source}: no column to learn from: "
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
    if constant:
        names_of = ", ".join(constant)
        notes.append(f"the same value in every training row, so of no use: {names_of}")
    return fitted, tuple(reports), notes


def _fit_feature(
    loaded: LoadedConfig, facts: ColumnStatistics
) -> tuple[Column | None, ColumnReport]:
    config, name = loaded.config.data, facts.name
    given, num_missing = config.kinds.get(name), facts.missing.count
    if given is not None:
        kind, reason = kind_named(given), "data.kinds says so"
    elif has_encoding(facts.dtype):
        refuse_mixed(facts)
        inference = infer_from(facts)
        if inference.kind is None:
            return _left_out(loaded, name, inference.reason, num_missing)
        kind, reason = inference.kind, inference.reason
    else:
        return _left_out(loaded, name, f"its type, {facts.dtype}, has no encoding", 0)
    kind.refuse_other(facts)
    column = kind.fit(facts, config)
    encoding = column.encoding_in_short(config)
    return column, ColumnReport(name, column.kind, reason, num_missing, encoding)


def _left_out(
    loaded: LoadedConfig, name: str, reason: str, num_missing: int
) -> tuple[None, ColumnReport]:
    """Leave a column out; ConfigError where the config names it as a feature."""
    features = loaded.config.data.features
    if features is not None:
        path = ("data", "features", features.index(name))
        raise loaded.error(path, f"'{name}' can't be used: {reason}")
    return None, ColumnReport(name, None, reason, num_missing, "left out (data.features)")


def _check_shape(loaded: LoadedConfig, columns: list[Column]) -> None:
    shape = loaded.config.data.shape
    if shape is None:
        return
    other = [column.name for column in columns if not column.is_scalar]
    if other:
        raise loaded.error(
            ("data", "shape"),
            f"takes numeric features only; '{other[0]}' is not: name the features in data.features",
        )
    gaps = [column.name for column in columns if column.indicates_missing]
    if gaps:
        raise loaded.error(
            ("data", "shape"), f"'{gaps[0]}' has missing values, for which an array has no place"
        )
    if int(np.prod(shape)) != len(columns):
        raise loaded.error(
            ("data", "shape"),
            f"{list(shape)} takes {np.prod(shape)} features, and the data has {len(columns)}",
        )
