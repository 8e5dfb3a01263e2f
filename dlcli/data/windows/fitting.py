"""A table of steps → windows of each part, encoded by what the training steps show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dlcli.columns.bad_cells import CellError
from dlcli.columns.base import Column
from dlcli.columns.column_statistics import ColumnStatistics
from dlcli.columns.family import column_statistics
from dlcli.columns.numeric import refuse_other
from dlcli.config import LoadedConfig
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.window import WindowConfig
from dlcli.data.fitted import FittedData
from dlcli.data.fitting import ColumnReport, fit_feature
from dlcli.data.series.arranging import Series, arrange, find_axis
from dlcli.data.series.calendar_features import cycles_of
from dlcli.data.series.fitted_window import FittedWindow
from dlcli.data.signature import NUMBERS
from dlcli.data.splits.parts import PARTS
from dlcli.data.text_files import agreed_settings, nameless_notes, recognition_notes
from dlcli.data.windows.baselines import choose_season
from dlcli.data.windows.windows import EncodedSeries, Windows, find_origins
from dlcli.errors import DataError, counted
from dlcli.tables.table import Table
from dlcli.targets.base import missing_target
from dlcli.targets.family import fit_forecast


@dataclass(frozen=True)
class WindowFit:
    """What is fitted to the training steps, and the windows of each part."""

    fitted: FittedData
    parts: dict[str, Windows]
    columns: tuple[ColumnReport, ...]
    notes: tuple[str, ...]
    text_settings: Mapping[str, object] | None


def fit_windows(loaded: LoadedConfig, table: Table) -> WindowFit:
    """Arrange a table's rows in time, split them, fit to the training steps, and cut windows.

    Nothing is fitted to a step that isn't before the first validation and test step. Raises
    ConfigError where the config and the data don't fit, DataError where the data can't be used.
    """
    config = loaded.config.data
    window = _window_of(config)
    if not len(table):
        raise DataError(f"{table.source}: no rows below the header")
    axis = find_axis(table, window.time_columns, window.group)
    series = arrange(table, axis, window.group, window.fill, window.targets)
    limits = _limits(series, config)
    is_train = series.positions < limits["train"][1]
    train = series.rows.take(np.flatnonzero(is_train))
    if not len(train):
        raise DataError(f"{table.source}: too few steps for the split: none are left for train")
    statistics = [_target_statistics(train, name, config) for name in window.targets]
    target = fit_forecast(statistics, window.horizon, config.settings_of(window.targets[0]))
    columns, reports, notes = _fit_columns(loaded, train, window)
    num_steps = int(series.positions[is_train].max()) + 1
    dialect = table.dialect
    fitted = FittedData(
        columns=columns,
        target=target,
        placed_columns=None if dialect is None else dialect.num_placed,
        shape=None,
        missing_values=config.missing_values,
        window=FittedWindow(
            axis=axis,
            group=window.group,
            past=window.past,
            horizon=window.horizon,
            known=window.known,
            cycles=cycles_of(axis, num_steps) if window.calendar else (),
            fill=window.fill,
        ),
    )
    parts, more = _cut(series, fitted, limits, config)
    season = window.season or choose_season(fitted, parts["train"])
    assert fitted.window is not None, "it was just given"
    fitted = fitted.model_copy(
        update={"window": fitted.window.model_copy(update={"season": season})}
    )
    headers = [table.take(np.empty(0, np.int64))]
    notes = [
        *recognition_notes(headers),
        *nameless_notes(config, headers[0]),
        *series.notes,
        *_series_notes(series, fitted, limits, parts),
        *more,
        *notes,
        *target.notes(statistics[0]),
    ]
    return WindowFit(fitted, parts, reports, tuple(notes), agreed_settings(headers))


def read_series(fitted: FittedData, table: Table) -> Series:
    """Return a table's series as training arranged its own; DataError."""
    window, target = fitted.window, fitted.target
    assert window is not None, "rows are steps of series"
    return arrange(table, window.axis, window.group, window.fill, target.step_names)


def windows_by_part(fitted: FittedData, table: Table, config: DataConfig) -> dict[str, Windows]:
    """Return the windows of a run's own table, split as they were; DataError."""
    series = read_series(fitted, fitted.clean(table))
    return _cut(series, fitted, _limits(series, config), config)[0]


def all_windows(fitted: FittedData, table: Table, config: DataConfig) -> tuple[Windows, list[str]]:
    """Return all windows of a table, and notes on its steps; DataError."""
    series = read_series(fitted, fitted.clean(table))
    limits = {"data": (0, int(series.positions.max(initial=-1)) + 1)}
    parts, notes = _cut(series, fitted, limits, config)
    return parts["data"], [*series.notes, *notes]


def encode_series(fitted: FittedData, series: Series) -> EncodedSeries:
    """Return series as a network sees them; CellError where a cell is not of its column's kind."""
    window, target = fitted.window, fitted.target
    assert window is not None, "rows are steps of series"
    inputs, _ = fitted.encode_inputs(series.rows)
    targets = target.encode(series.rows, fitted.missing_values)
    with np.errstate(over="ignore"):  # infinite where a number is too large for float32
        targets = targets.astype(np.float32)
    beyond = np.flatnonzero(np.isinf(targets).any(axis=1))
    if len(beyond):
        place = series.rows.place(int(beyond[0]))
        raise DataError(f"{place}: a target is too large for float32")
    channels = window.with_leads(inputs[NUMBERS], fitted.columns, series)
    return EncodedSeries(
        channels,
        targets,
        window.past,
        window.horizon,
        series.axis.times(series.positions, series.origin),
        series.starts,
        series.names,
    )


def _window_of(config: DataConfig) -> WindowConfig:
    assert config.window is not None, "the config is of forecasts"
    return config.window


def _limits(series: Series, config: DataConfig) -> dict[str, tuple[int, int]]:
    """Return each part's first position in time and the one after its last: shares of the time."""
    end = int(series.positions.max()) + 1
    num_test = round(config.split.test * end)
    num_validation = round(config.split.validation * end)
    cuts = [0, end - num_test - num_validation, end - num_test, end]
    return dict(zip(PARTS, pairwise(cuts), strict=True))


def _target_statistics(train: Table, name: str, config: DataConfig) -> ColumnStatistics:
    """Return what a target is fitted to; DataError where it is no number, or always missing."""
    found = column_statistics(
        train,
        name,
        config.missing_values,
        kind="numeric",
        wants_logs=config.settings_of(config.targets[0]).target_scale == "log",
    )
    if not found.num_known:
        raise DataError(f"{train.source}: the target '{name}' is missing in every training step")
    try:
        refuse_other(found)
    except CellError as error:  # its repairs are those of tables of rows
        raise DataError(
            f"{error.what}; {error.new_file}, or, if it means missing, list the text in "
            "data.missing_values"
        ) from None
    return found


def _fit_columns(
    loaded: LoadedConfig, train: Table, window: WindowConfig
) -> tuple[tuple[Column, ...], tuple[ColumnReport, ...], list[str]]:
    """Return the channels' columns, the targets first, what became of each, and notes."""
    config = loaded.config.data
    nameless = {*train.nameless}
    names = [*window.targets]
    for name in config.features or train.frame.columns:
        is_named = config.features is not None or name not in nameless
        if config.may_be_feature(name) and is_named and name not in names:
            names.append(name)
    used: list[Column] = []
    reports, constant = [], []
    for name in names:
        statistics = column_statistics(
            train, name, config.missing_values, kind=config.kinds.get(name)
        )
        column, report = fit_feature(loaded, statistics, None)
        if column is not None and column.field != NUMBERS:
            why = "a channel of a series is numbers, and this has a field of its own"
            if column.embedding is not None:
                num_categories = column.embedding.num_codes - 1
                why = f"{num_categories} categories are more than data.one_hot_max"
            column, report = None, replace(report, kind=None, reason=why, encoding="left out")
        if column is None and name in (*window.targets, *window.known):
            raise DataError(f"{train.source}: '{name}' can't be a channel: {report.reason}")
        reports.append(report)
        if column is not None:
            used.append(column)
            if column.is_constant(statistics):
                constant.append(name)
    notes = []
    if constant:
        notes.append(f"the same value in every training row, so of no use: {', '.join(constant)}")
    return tuple(used), tuple(reports), notes


def _cut(
    series: Series,
    fitted: FittedData,
    limits: Mapping[str, tuple[int, int]],
    config: DataConfig,
) -> tuple[dict[str, Windows], list[str]]:
    """Return the windows of each part that is wanted, and notes on those that are left out."""
    window, encoded = fitted.window, encode_series(fitted, series)
    assert window is not None, "rows are steps of series"
    parts, num_missing = {}, 0
    for name, (first, end) in limits.items():
        if first == end and name != "train":  # not wanted
            continue
        origins, missing = find_origins(series, encoded, first=first, end=end)
        num_missing += missing
        if missing and not config.drop_missing_target:
            raise _missing(series, encoded, fitted, config)
        if not len(origins):
            raise _too_few(series, window, name, end - first, missing)
        parts[name] = Windows.of(encoded, origins, fitted.target.field)
    notes = []
    if num_missing:
        notes.append(
            f"{counted(num_missing, 'window')} left out, as a target to forecast is missing "
            "(data.drop_missing_target)"
        )
    return parts, notes


def _missing(
    series: Series, encoded: EncodedSeries, fitted: FittedData, config: DataConfig
) -> DataError:
    gaps = np.isnan(encoded.targets)
    row, column = (int(index) for index in np.argwhere(gaps)[0])
    error = missing_target(
        [fitted.target.step_names[column]],
        series.rows.place(row),
        int(gaps[:, column].sum()),
        len(gaps),
        config.missing_values,
    )
    fill = "set data.window.fill: previous to take the last value before, or "
    if config.window is not None and config.window.fill == "previous":
        fill = "there is no value before to take; set "  # at the beginning
    return DataError(
        f"{error.what}; {fill}data.drop_missing_target: true to leave out the windows that would "
        "forecast it"
    )


def _too_few(
    series: Series, window: FittedWindow, part: str, num_steps: int, missing: int
) -> DataError:
    name = series.axis.name
    why = f"{num_steps} steps of '{name}' have no window"
    if missing:
        why += f" whose targets are all there ({missing} lack some)"
    return DataError(
        f"{series.rows.source}: too few steps for {part}: {why}; it takes {window.past} steps of "
        f"the past and {window.horizon} to forecast: make data.window.past or horizon shorter, or "
        "change data.split"
    )


def _series_notes(
    series: Series,
    fitted: FittedData,
    limits: Mapping[str, tuple[int, int]],
    parts: Mapping[str, Windows],
) -> Iterator[str]:
    """Say what a window is, how many there are, and where the parts begin."""
    window = fitted.window
    assert window is not None, "rows are steps of series"
    axis, many = window.axis, ""
    if series.num_series > 1:
        many = f", in {series.num_series:,} series by '{window.group}'"
    known = [*window.known, *window.cycles]
    ahead = f"; known ahead: {', '.join(known)}" if known else ""
    yield (
        f"windows: {counted(window.past, 'step')} of the past ({axis.span_text(window.past)}) and "
        f"{window.horizon} to forecast ({axis.span_text(window.horizon)}), a step is "
        f"{axis.step_text}{many}{ahead} (data.window)"
    )
    num_windows = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    yield f"windows of each part: {num_windows} (data.split)"
    for part in PARTS[1:]:
        first, end = limits[part]
        if end > first:
            yield f"{part} targets: '{axis.name}' from {series.text(first)} on (data.split)"
