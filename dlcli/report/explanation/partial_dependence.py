"""Partial dependence: its words and its picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.partial_dependence import ColumnDependence, PartialDependence
from dlcli.report.charts.chart import Axis, Band, Chart, Dots, Line, Mark, Panel, Spans
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened
from dlcli.report.text import describe_rows, named, one_label, prediction_name, value_text
from dlcli.targets.base import Target

_LOW = 0.4  # probabilities that are all below it are drawn on a scale that fits them
_MAX_TICKS = 80  # rows that a rug shows
_MAX_SLANTED = 5  # categories with slanted names; names of more are vertical
_DAY = 86400.0


@dataclass(frozen=True)
class _Room:
    """What there is room for in a panel."""

    num_letters: int  # of the column's name
    num_lines: int  # of single rows
    num_ticks: int


_WIDE, _NARROW = _Room(34, 10, 5), _Room(18, 6, 3)


def dependence_section(found: PartialDependence, explanation: Explanation) -> PageSection:
    """Return how predictions change with each of the most important columns."""
    sentences = [
        "Partial dependence is the average prediction when the column is set to one value in every "
        "row. Where columns are correlated, some of these rows can't occur in reality, and the "
        "network extrapolates. Where the lines of single rows cross, the effect depends on other "
        "columns."
    ]
    if found.without:
        names = ", ".join(map(named, found.without))
        sentences.append(f"{names}: the same value in all of {describe_rows(found.sample)}.")
    picture = dependence_picture(found, explanation.target)
    return PageSection("Partial dependence", tuple(sentences), pictures=(picture,))


def dependence_picture(found: PartialDependence, target: Target) -> Picture:
    """Draw a panel for each column; of several classes, a row of panels for each class."""
    is_single = len(found.curves) == 1
    limits = _limits(found)
    if is_single:
        name = "probability" if found.num_classes else "prediction"  # of what, the caption says
        panels = [
            _panel(column, 0, _prediction_axis(name if index % 2 == 0 else "", limits), _WIDE)
            for index, column in enumerate(found.columns)
        ]
        rows = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    else:
        rows = [
            [
                _panel(
                    column,
                    index,
                    _prediction_axis(shortened(curve, 14) if not place else "", limits),
                    _NARROW,
                    is_last=index == len(found.curves) - 1,
                )
                for place, column in enumerate(found.columns)
            ]
            for index, curve in enumerate(found.curves)
        ]
    height = 170.0 if is_single else 90.0
    widths = (1.0,) * (min(2, len(found.columns)) if is_single else len(found.columns))
    return chart_picture(
        "partial-dependence",
        "Partial dependence of the most important columns",
        _caption(found, target),
        Chart(rows, height=height * len(rows), widths=widths),
    )


def _limits(found: PartialDependence) -> tuple[float, float]:
    """Return the range of predictions that all panels show."""
    if not found.num_classes:
        shown = [(c.low.min(), c.high.max(), c.lines.min(), c.lines.max()) for c in found.columns]
        low, high = float(np.min(shown)), float(np.max(shown))
        margin = 0.05 * (high - low) or abs(high) / 2 or 1.0
        return low - margin, high + margin
    highest = max(float(column.high.max()) for column in found.columns)
    top = 1.0 if highest > _LOW else 1.2 * highest
    return -0.05 * top, 1.05 * top


def _prediction_axis(label: str, limits: tuple[float, float]) -> Axis:
    return Axis(label, *limits, max_ticks=4, is_hidden=not label)


def _panel(
    column: ColumnDependence, curve: int, y: Axis, room: _Room, *, is_last: bool = True
) -> Panel:
    draw = _categories if column.axis == "category" else _curve
    marks = list(draw(column, curve, room))
    if is_last and column.axis != "category":
        marks.append(_rug(column, y))
    return Panel(marks, _column_axis(column, room, is_last=is_last), y)


def _column_axis(column: ColumnDependence, room: _Room, *, is_last: bool) -> Axis:
    label = one_label(column.name, room.num_letters)
    if column.axis == "category":
        ticks = [
            (float(place), f"{shortened(_category(value), 12)} ({count:,})")
            for place, (value, count) in enumerate(
                zip(column.grid, column.row_values.tolist(), strict=True)
            )
        ]
        turned: Literal[40, 90] = 90 if len(ticks) > _MAX_SLANTED else 40
        ends = (-0.6, len(ticks) - 0.4)
        return Axis(label, *ends, ticks=ticks, turned=turned, is_hidden=not is_last)
    grid = np.array(column.grid, np.float64)
    margin = 0.03 * float(np.ptp(grid))
    ends = (float(grid[0] - margin), float(grid[-1] + margin))
    if column.axis == "time":
        times = np.linspace(grid[0], grid[-1], 4).tolist()
        ticks = [(time, _datetime_text(time, column)) for time in times]
        return Axis(label, *ends, ticks=ticks, turned=40, is_hidden=not is_last)
    return Axis(label, *ends, max_ticks=room.num_ticks, is_hidden=not is_last)


def _categories(column: ColumnDependence, curve: int, room: _Room) -> Iterator[Mark]:  # noqa: ARG001 - as `_curve`
    places = np.arange(len(column.grid))
    low, high, mean = column.low[:, curve], column.high[:, curve], column.mean[:, curve]
    yield Spans(places, low, places, high, curve, 6.0, 0.3)
    yield Dots(places, mean, "", curve, size=7.0)


def _curve(column: ColumnDependence, curve: int, room: _Room) -> Iterator[Mark]:
    grid = np.array(column.grid, np.float64)
    yield Band(grid, column.low[:, curve], column.high[:, curve], curve, 0.14)
    lines = column.lines[:, : room.num_lines, curve].T
    # One line with gaps: one for each row would take more room.
    x, gap = np.append(grid, np.nan), np.full((len(lines), 1), np.nan)
    y = np.hstack([lines, gap]).ravel()
    yield Line(np.tile(x, len(lines)), y, "", curve, 0, 0.7, 0.4, has_tooltip=False)
    yield Line(grid, column.mean[:, curve], "", curve)


def _rug(column: ColumnDependence, y: Axis) -> Spans:
    """Show where rows are."""
    found = np.sort(column.row_values)
    chosen = found[np.linspace(0, len(found) - 1, min(_MAX_TICKS, len(found))).astype(int)]
    low, high = y.low or 0.0, y.high or 0.0
    bottom, top = np.full(len(chosen), low), np.full(len(chosen), low + 0.05 * (high - low))
    return Spans(chosen, bottom, chosen, top, "ink", 0.8, 0.6)


def _category(value: object) -> str:
    return "missing" if value is None else str(value)


def _datetime_text(seconds: float, column: ColumnDependence) -> str:
    """Write a date, with the time where all are within two days."""
    datetime = np.datetime64(round(seconds), "s")
    is_long = np.ptp(np.array(column.grid, np.float64)) > 2 * _DAY
    return str(datetime.astype("datetime64[D]" if is_long else "datetime64[m]")).replace("T", " ")


def _caption(found: PartialDependence, target: Target) -> str:
    prediction = (
        prediction_name(target, found.curves[0])
        if len(found.curves) == 1
        else "probability of each class"
    )
    text = (
        f"The {prediction} when a column is set to a value in {describe_rows(found.sample)}, all "
        "other columns unchanged. Thick line or dot: the mean; thin lines: single rows; band or "
        "bar: 80 % of the rows. Ticks at the bottom and counts in brackets show the data. "
    )
    text += " ".join(_describe_column(column, found.curves) for column in found.columns)
    if found.num_classes > max(2, len(found.curves)):
        text += f" The {len(found.curves)} most frequent of {found.num_classes} classes are drawn."
    return text


def _describe_column(column: ColumnDependence, curves: Sequence[str]) -> str:
    """Say between which values the widest curve of a column lies."""
    index = int(np.ptp(column.mean, axis=0).argmax())
    mean = column.mean[:, index]
    curve = f"{named(curves[index])} " if len(curves) > 1 else ""
    if column.axis == "category":
        low, high = int(mean.argmin()), int(mean.argmax())
        text = (
            f"{named(column.name)}: {curve}from {value_text(mean[low])} "
            f"({named(_category(column.grid[low]))}) to {value_text(mean[high])} "
            f"({named(_category(column.grid[high]))})"
        )
        num_hidden = column.num_left_out
        return text + (f"; {num_hidden} rarer categories are not shown." if num_hidden else ".")
    ends = [float(column.grid[0] or 0), float(column.grid[-1] or 0)]
    first, last = (
        _datetime_text(end, column) if column.axis == "time" else value_text(end) for end in ends
    )
    return (
        f"{named(column.name)}: {curve}{value_text(mean[0])} at {first}, {value_text(mean[-1])} at "
        f"{last}."
    )
