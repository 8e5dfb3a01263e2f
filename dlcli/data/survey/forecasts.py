"""Recognising tables whose rows are steps of series, which can be forecast."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from dlcli.columns.cells import parse_datetimes, read_cells
from dlcli.data.series.arranging import find_axis
from dlcli.data.series.time_axis import PARTS_OF_DATES, TimeAxis
from dlcli.data.windows.baselines import seasons_of_axis
from dlcli.errors import DataError
from dlcli.tables.table import Table
from dlcli.targets.task import Task

_MIN_STEPS = 100  # of a series
_MIN_REGULAR = 0.9  # share of the steps that are one step long
_MAX_SERIES = 1_000
_MAX_PAST = 400
_PASTS = 10  # windows' pasts in a series, at least


def forecast_findings(rows: Table, target: str, task: Task) -> Iterator[str]:
    """Say how the target can be forecast, where it is a number and rows have regular times."""
    if task != "regression":
        return
    for times in _times(rows, target):
        for group in (None, *_groups(rows, (target, *times))):
            try:
                found = _regular(rows, times, group)
            except DataError:
                continue
            if found is None:
                continue
            axis, num_steps = found
            time = times[0] if len(times) == 1 else f"[{', '.join(times)}]"
            of = "" if group is None else f", in series by '{group}'"
            named = "" if group is None else f", group: {group}"
            past, horizon = _lengths(axis, num_steps)
            yield (
                f"rows are steps of {axis.step_text} by '{axis.name}'{of}: to forecast "
                f"'{target}', write `window: {{time: {time}{named}, past: {past}, horizon: "
                f"{horizon}, targets: [{target}]}}` in `data` of a config such as "
                "configs/visitors.yaml, in place of its `window` (docs/guides/forecasts.md)"
            )
            return


def _times(rows: Table, target: str) -> Iterator[tuple[str, ...]]:
    """Yield columns that may be times: the parts of a date, or a column of dates."""
    by_name = {name.lower(): name for name in rows.frame.columns if name != target}
    parts = []
    for part in PARTS_OF_DATES:
        if part not in by_name:
            break
        parts.append(by_name[part])
    if len(parts) > 1:
        yield tuple(parts)
    for name in by_name.values():
        cells = read_cells(rows, name, rows.missing_values or ())
        few = cells.head(20)
        if parse_datetimes(few).null_count() == 0 and not cells.null_count():
            yield (name,)


def _groups(rows: Table, others: tuple[str, ...]) -> Iterator[str]:
    """Yield columns of text with few values, which may tell series apart."""
    for name, dtype in rows.frame.schema.items():
        if name in others or dtype != pl.String:
            continue
        cells = rows.frame[name]
        if not cells.null_count() and 1 < cells.n_unique() <= _MAX_SERIES:
            yield name


def _regular(rows: Table, times: tuple[str, ...], group: str | None) -> tuple[TimeAxis, int] | None:
    """Return the step of series, and the steps of the shortest; None: they aren't regular."""
    axis = find_axis(rows, times, group)
    positions, _ = axis.positions(rows)
    codes = np.zeros(len(rows), np.int64)
    if group is not None:
        codes = rows.frame[group].rank("dense").to_numpy().astype(np.int64) - 1
    order = np.lexsort((positions, codes))
    steps = np.diff(positions[order])[np.diff(codes[order]) == 0]
    shortest = int(np.bincount(codes).min())
    if shortest < _MIN_STEPS or (steps == 0).any() or (steps == 1).mean() < _MIN_REGULAR:
        return None
    return axis, shortest


def _lengths(axis: TimeAxis, num_steps: int) -> tuple[int, int]:
    """Return steps of the past and of the horizon: of the longest and the shortest season."""
    most = min(_MAX_PAST, num_steps // _PASTS)
    seasons = [season for season in seasons_of_axis(axis) if season <= most]
    if not seasons:
        return most, max(1, most // 4)
    return seasons[-1], min(seasons)
