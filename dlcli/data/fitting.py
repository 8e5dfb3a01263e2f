"""Rows → all that is fitted to the training rows, and what became of each column."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlcli.columns.base import Column
from dlcli.columns.cells import ColumnUse, has_encoding
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.datetime import refuse_mostly_dates
from dlcli.columns.family import ColumnKind, infer_from, kind_named, no_encoding
from dlcli.columns.numeric import refuse_mixed
from dlcli.columns.unseen import UnseenCells
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.data.checks import (
    choose_task,
    missing_group_notes,
    refuse_empty,
    refuse_missing_target,
    role_notes,
)
from dlcli.data.fitted import FittedData
from dlcli.data.part_statistics import (
    SAMPLE_ROWS,
    PartStatistics,
    feature_names,
    gather_statistics,
)
from dlcli.data.stream import Reading, RowSource, Stream
from dlcli.data.text_files import agreed_settings, nameless_notes, recognition_notes
from dlcli.data.weights import weightless_notes
from dlcli.errors import DataError
from dlcli.metrics import metrics_for
from dlcli.targets.base import TargetValues
from dlcli.targets.family import fit_target
from dlcli.targets.several_targets import AnyTarget, SeveralTargets
from dlcli.targets.task import AnyTask, Task


@dataclass(frozen=True)
class ColumnReport:
    """What became of a column, for people to read."""

    name: str
    kind: ColumnKind | None
    reason: str
    num_missing: int  # in the training rows
    encoding: str


@dataclass(frozen=True)
class Fit:
    """What is fitted to some rows, and what was decided about them."""

    fitted: FittedData
    task: AnyTask
    num_rows: dict[str, int]  # of each part that has some, "train" first
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    target_values: dict[str, TargetValues]  # of each part
    text_settings: dict[str, Any] | None  # how its text files are written; None: none is one


def fit_rows(
    loaded: LoadedConfig, source: RowSource, before: FittedData | None = None
) -> Generator[Reading, None, Fit]:
    """Fit to the training rows, and check the others, but for held ones: encoding does so.

    What was fitted `before` to columns of the same name and kind is kept.
    Raises ConfigError where the config and the data don't fit, DataError where the data can't be
    used, with the same words and places whether rows are held or not.
    """
    found = yield from gather_statistics(source)
    config, parts, notes = loaded.config.data, found.parts, list[str]()
    for file in found.files.values():
        notes += refuse_missing_target(file, config)
        notes += missing_group_notes(file, config)
    headers = [file.header for file in found.files.values()]
    notes += recognition_notes(headers)
    notes += nameless_notes(config, found.files["path"].header)
    notes += source.split_notes
    notes += role_notes(config, found.files["path"].header.frame.columns)
    path = source.files["path"].name
    written = found.files["path"].header.source
    tasks, said = {}, list[str]()
    for name in config.targets:
        tasks[name], why = choose_task(found.target_in(written, name), config)
        said += why
    notes += weightless_notes(sum(part.weightless.count for part in parts.values()))
    refuse_empty({name: part.num_rows for name, part in parts.items()}, path, config)
    fitted, columns, more = _fit_columns(loaded, parts["train"], tasks, before)
    notes += said + more
    if not source.is_held:
        for name, part in parts.items():
            if name != "train" and part.num_rows:
                notes += [f"{name} rows: {unseen}" for unseen in check_part(fitted, part)]
        notes += _approximations(config, fitted, parts["train"])
    num_rows = {name: part.num_rows for name, part in parts.items() if part.num_rows}
    values = {name: _target_values(fitted, parts[name]) for name in num_rows}
    task = fitted.target.task
    return Fit(fitted, task, num_rows, columns, tuple(notes), values, agreed_settings(headers))


def check_stream(
    fitted: FittedData, stream: Stream
) -> Generator[Reading, None, tuple[list[str], list[UnseenCells]]]:
    """Read files once, as rows to be encoded by what was fitted before.

    Returns notes on rows that are left out, and what is unseen. Raises DataError where encoding
    would, before anything is encoded.
    """
    kinds = {column.name: column.kind for column in fitted.columns}
    stream = replace(stream, config=stream.config.model_copy(update={"kinds": kinds}))
    found = yield from gather_statistics(stream)
    notes = [*recognition_notes(file.header for file in found.files.values())]
    unseen: list[UnseenCells] = []
    for file in found.files.values():
        notes += refuse_missing_target(file, stream.config)
    notes += weightless_notes(sum(part.weightless.count for part in found.parts.values()))
    for part in found.parts.values():
        if part.num_rows:
            unseen += check_part(fitted, part)
    return notes, unseen


def check_part(fitted: FittedData, part: PartStatistics) -> Iterator[UnseenCells]:
    """Yield the cells unseen in training that encoding will find; DataError where it would."""
    for column in fitted.columns:
        part.header.column(column.name)
        statistics = part.columns[column.name]
        column.refuse_other(statistics)
        yield from column.find_unseen(statistics)
    for target in fitted.target.parts:
        if part.columns[target.name].num_known:
            target.refuse_unfit(part.columns[target.name])


def _target_values(fitted: FittedData, part: PartStatistics) -> TargetValues:
    """Return what the rows of a part lack of the targets' values."""
    values = {
        target.name: target.values_in(part.columns[target.name])
        if part.columns[target.name].num_known
        else TargetValues(are_all_missing=True)
        for target in fitted.target.parts
    }
    return TargetValues(of_targets=values) if len(values) > 1 else values[fitted.target.name]


def _fit_target(train: PartStatistics, tasks: Mapping[str, Task], config: DataConfig) -> AnyTarget:
    """Fit to the training rows that have each target; DataError where none has one."""
    targets = []
    for name, task in tasks.items():
        statistics = train.columns[name]
        if not statistics.num_known:
            raise DataError(
                f"{statistics.source}: the target '{name}' is missing in every training row; "
                "leave it out of data.target, or split the rows otherwise (data.split)"
            )
        targets.append(fit_target(statistics, task, config.settings_of(name)))
    if len(targets) == 1:
        return targets[0]
    return SeveralTargets.of(targets, [train.target_weights[name] / train.weight for name in tasks])


def _fit_columns(
    loaded: LoadedConfig,
    train: PartStatistics,
    tasks: Mapping[str, Task],
    before: FittedData | None,
) -> tuple[FittedData, tuple[ColumnReport, ...], list[str]]:
    """Return what is fitted to the training rows, what became of each column, and notes."""
    config = loaded.config.data
    target = _fit_target(train, tasks, config)
    known: dict[str, Column] = {}
    if before is not None:
        known = {column.name: column for column in before.columns}
        target = target.continued(before.target)
    notes = [note for one in target.parts for note in one.notes(train.columns[one.name])]
    used: list[Column] = []
    reports = []
    constant = []
    for name in feature_names(config, train.header):
        statistics = train.columns[name]
        column, report = fit_feature(loaded, statistics, known.get(name))
        reports.append(report)
        if column is not None:
            used.append(column)
            notes += column.notes(statistics)
            if column.is_constant(statistics):
                constant.append(name)
    if not used:
        reasons = [f"'{report.name}': {report.reason}" for report in reports]
        targets = " and ".join(f"'{name}'" for name in config.targets)
        raise DataError(
            f"{train.header.source}: no column to learn from: "
            + ("; ".join(reasons) or f"there is only the target {targets}")
        )
    if known:  # columns that a network knows are where it knows them
        places = {name: place for place, name in enumerate(known)}
        used.sort(key=lambda column: places.get(column.name, len(places)))
    _check_shape(loaded, used)
    dialect = train.header.dialect
    fitted = FittedData(
        columns=tuple(used),
        target=target,
        weight=config.weight,
        placed_columns=None if dialect is None else dialect.num_placed,
        shape=config.shape,
        missing_values=config.missing_values,
    )
    if constant:
        names_of = ", ".join(constant)
        notes.append(f"the same value in every training row, so of no use: {names_of}")
    return fitted, tuple(reports), notes


def fit_feature(
    loaded: LoadedConfig, statistics: ColumnStatistics, before: Column | None
) -> tuple[Column | None, ColumnReport]:
    """Fit a column to the training rows, or to more of them than `before`; None: it is left out.

    Raises ConfigError where `features` names a column that can't be used.
    """
    config, name = loaded.config.data, statistics.name
    given, num_missing = config.kinds.get(name), statistics.missing.count
    if given is not None:
        kind, reason = kind_named(given), "data.kinds says so"
    elif has_encoding(statistics.dtype):
        refuse_mixed(statistics)
        refuse_mostly_dates(statistics)
        inference = infer_from(statistics)
        if inference.kind is None:
            return _left_out(loaded, name, inference.reason, num_missing)
        kind, reason = inference.kind, inference.reason
    else:
        return _left_out(loaded, name, no_encoding(name, statistics.dtype), 0)
    kind.refuse_other(statistics, ColumnUse(only_kind=statistics.only_kind))
    column = kind.fit(statistics, config)
    if before is not None and before.kind == column.kind:
        column = column.continued(before)
    num_bins = loaded.config.model.num_bins
    if num_bins is not None:
        column = column.with_bins(statistics.sample, num_bins)
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


def _approximations(config: DataConfig, fitted: FittedData, train: PartStatistics) -> Iterator[str]:
    """Yield what is not as it would be with all rows in memory."""
    if config.split.group is not None:
        yield (
            "each group is assigned to a part independently, so the parts have their shares of "
            "the rows only on average (data.split.group, data.streaming)"
        )
    elif config.split.is_drawn:
        yield (
            "each row is assigned to a part independently, so classes have their shares only on "
            "average (data.split, data.streaming)"
        )
    tasks = dict.fromkeys(target.task for target in fitted.target.parts)
    for metric in dict.fromkeys(metric for task in tasks for metric in metrics_for(task)):
        if metric.streaming_note is not None:
            yield f"{metric.streaming_note} (data.streaming)"
    if train.num_rows <= SAMPLE_ROWS:
        return
    drawn = f"{SAMPLE_ROWS:,} training rows drawn at random (data.streaming)"
    if any(column.fills_with_median for column in fitted.columns):
        yield f"missing numbers are imputed with the medians of {drawn}"
    for what in sorted({column.sampled for column in fitted.columns if column.sampled}):
        yield f"numbers are {what} by the quantiles of {drawn}"
