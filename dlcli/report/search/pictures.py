"""Pictures of a search."""

import math

import numpy as np

from dlcli.report.charts.chart import Axis, Chart, Dots, Line, Mark, Panel
from dlcli.report.picture import Picture, chart_picture
from dlcli.trials.searching.findings import Findings
from dlcli.trials.searching.search import Entry
from dlcli.trials.searching.space import Dimension

_PANELS_PER_ROW = 3
_SHOWN = 0.9  # of the figures: the worst would squeeze all others


def progress(found: Findings) -> Picture:
    """Draw the metric of each trial, and the best so far, in the order of sampling."""
    metric, sign = found.tune.metric, -1.0 if found.is_higher_better else 1.0
    marks: list[Mark] = []
    entries = [entry for entry in found.entries if math.isfinite(entry.value)]
    for index, rung in enumerate(sorted({entry.rung for entry in entries})):
        some = [entry for entry in entries if entry.rung == rung]
        epochs = f"{found.rungs[rung]} epochs"
        numbers = [float(entry.number) for entry in some]
        marks.append(Dots(numbers, [sign * entry.value for entry in some], epochs, color=index))
    last = max(entry.rung for entry in entries)
    full = sorted((e for e in entries if e.rung == last), key=lambda entry: entry.number)
    best = sign * np.minimum.accumulate([entry.value for entry in full])
    marks.append(Line([float(e.number) for e in full], best, "best so far", color="ink"))
    low, high = _limits(found, entries)
    y = Axis(f"validation {metric}", low, high)
    return chart_picture(
        "search",
        f"Validation {metric} over the search",
        f"Validation {metric} of each setting in the order in which they were sampled (dots; the "
        "worst tenth may lie outside), and the best so far (line).",
        Chart(((Panel(marks, Axis("setting", is_integer=True), y),),)),
    )


def by_setting(found: Findings) -> Picture:
    """Draw the metric against each setting that was searched."""
    metric = found.tune.metric
    entries = [e for e in found.entries if e.rung == 0 and e.settings and math.isfinite(e.value)]
    low, high = _limits(found, entries)
    panels = []
    for index, dimension in enumerate(found.space.dimensions):
        x, axis = _axis(dimension, entries)
        figures = [entry.figure or 0.0 for entry in entries]
        y = Axis(f"validation {metric}", low, high, is_hidden=index % _PANELS_PER_ROW > 0)
        panels.append(Panel([Dots(x, figures, size=5.0)], axis, y))
    rows = [
        tuple(panels[start : start + _PANELS_PER_ROW])
        for start in range(0, len(panels), _PANELS_PER_ROW)
    ]
    return chart_picture(
        "settings",
        f"Validation {metric} by setting",
        f"Validation {metric} of all settings after {found.rungs[0]} epochs, against each of the "
        "keys that were searched.",
        Chart(tuple(rows), height=190.0 * len(rows)),
    )


def _axis(dimension: Dimension, entries: list[Entry]) -> tuple[list[float], Axis]:
    """Return where each trial's value is, and the axis."""
    values = [entry.settings[dimension.key] for entry in entries]
    if dimension.spread.choice is not None:
        choices = dimension.spread.choice
        ticks = [(float(index), str(value)) for index, value in enumerate(choices)]
        axis = Axis(dimension.key, -0.5, len(choices) - 0.5, ticks=ticks)
        return [float(choices.index(value)) for value in values], axis
    low, high = dimension.spread.bounds
    is_log = dimension.spread.log is not None
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return numbers, Axis(dimension.key, low, high, is_log=is_log, max_ticks=4)


def _limits(found: Findings, entries: list[Entry]) -> tuple[float | None, float | None]:
    """Return limits within which the better part of the trials is."""
    figures = np.array([entry.figure for entry in entries if entry.figure is not None])
    if len(figures) < 2 or np.ptp(figures) == 0:
        return None, None
    if found.is_higher_better:
        low, high = float(np.quantile(figures, 1 - _SHOWN)), float(figures.max())
    else:
        low, high = float(figures.min()), float(np.quantile(figures, _SHOWN))
    room = 0.05 * (high - low)
    return (low - room, high + room) if high > low else (None, None)
