"""Partial dependence: its words and its picture."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dlcli.explaining.reasons.explanation import Explanation
from dlcli.explaining.reasons.partial_dependence import ColumnDependence, PartialDependence
from dlcli.report.page import PageSection
from dlcli.report.picture import COLORS, INK, Picture, draw, shortened
from dlcli.report.text import describe_rows, named, prediction_name, value_text
from dlcli.targets.base import Target

_LOW = 0.4  # probabilities that are all below it are drawn on a scale that fits them
_MAX_TICKS = 80  # rows that a rug shows
_MAX_SLANTED = 5  # categories with slanted names; names of more are vertical
_SLANTED: dict[str, Any] = {"rotation": 35.0, "ha": "right", "rotation_mode": "anchor"}
_DAY = 86400.0


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
    across = min(2, len(found.columns)) if is_single else len(found.columns)
    down = -(-len(found.columns) // across) if is_single else len(found.curves)

    def fill(drawing: Figure) -> None:
        sharex: Literal["none", "col"] = "none" if is_single else "col"
        panels = drawing.subplots(down, across, sharey=True, sharex=sharex, squeeze=False)
        if is_single:
            for axes, column in zip(panels.flatten(), found.columns, strict=False):
                _draw(axes, column, 0, is_last=True, is_narrow=False)
            for axes in panels.flatten()[len(found.columns) :]:
                axes.set_visible(False)
            drawing.supylabel(prediction_name(target, found.curves[0]), fontsize="medium")
        else:
            for index, curve in enumerate(found.curves):
                for axes, column in zip(panels[index], found.columns, strict=True):
                    _draw(axes, column, index, is_last=index == down - 1, is_narrow=True)
                panels[index, 0].set_ylabel(shortened(curve, 14), fontsize="small")
            drawing.supylabel("probability of the class", fontsize="medium")
        if found.num_classes:
            highest = max(float(column.high.max()) for column in found.columns)
            top = 1.0 if highest > _LOW else 1.2 * highest
            panels[0, 0].set_ylim(-0.05 * top, 1.05 * top)

    height = 2.5 if is_single else 1.25
    return draw(
        "partial-dependence",
        "Partial dependence of the most important columns",
        _caption(found, target),
        fill,
        size=(7.5, 0.6 + height * down + max(map(_label_height, found.columns))),
    )


def _draw(
    axes: Axes, column: ColumnDependence, curve: int, *, is_last: bool, is_narrow: bool
) -> None:
    if column.axis == "category":
        _draw_categories(axes, column, curve)
    else:
        _draw_line(axes, column, curve, max_lines=6 if is_narrow else 10)
        num_ticks = 3 if is_narrow else 4 if column.axis == "time" else 6
        axes.xaxis.set_major_locator(MaxNLocator(num_ticks))
        if column.axis == "time":
            axes.xaxis.set_major_formatter(
                FuncFormatter(lambda value, _: _datetime_text(value, column))
            )
            for label in axes.get_xticklabels():
                label.set(**_SLANTED)
        if is_narrow or column.axis == "time":
            axes.tick_params(axis="x", labelsize="small")
        if is_last:
            _draw_rug(axes, column)
    if is_last:
        axes.set_xlabel(shortened(column.name, 20 if is_narrow else 40))


def _draw_categories(axes: Axes, column: ColumnDependence, curve: int) -> None:
    grid, color = np.arange(len(column.grid)), COLORS[curve]
    axes.vlines(
        grid, column.low[:, curve], column.high[:, curve], color=color, alpha=0.3, linewidth=5
    )
    axes.plot(grid, column.mean[:, curve], "o", color=color, markersize=6)
    labels = [
        f"{shortened(_category(value), 12)} ({count:,})"
        for value, count in zip(column.grid, column.row_values.tolist(), strict=True)
    ]
    is_upright = len(grid) > _MAX_SLANTED
    turned = {"rotation": 90.0, "fontsize": "x-small"} if is_upright else _SLANTED
    axes.set_xticks(grid, labels, **{"fontsize": "small", **turned})
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _draw_line(axes: Axes, column: ColumnDependence, curve: int, *, max_lines: int) -> None:
    grid, color = np.array(column.grid, np.float64), COLORS[curve]
    low, high = column.low[:, curve], column.high[:, curve]
    axes.fill_between(grid, low, high, color=color, alpha=0.12, linewidth=0)
    axes.plot(grid, column.lines[:, :max_lines, curve], color=color, alpha=0.3, linewidth=0.6)
    axes.plot(grid, column.mean[:, curve], color=color)
    margin = 0.03 * float(np.ptp(grid))
    axes.set_xlim(grid[0] - margin, grid[-1] + margin)


def _draw_rug(axes: Axes, column: ColumnDependence) -> None:
    """Draw where rows are, as one line with gaps: a line for each would take much room."""
    found = np.sort(column.row_values)
    chosen = found[np.linspace(0, len(found) - 1, min(_MAX_TICKS, len(found))).astype(int)]
    gaps = np.full(len(chosen), np.nan)
    x = np.column_stack([chosen, chosen, gaps]).ravel()
    y = np.tile([0.0, 0.04, np.nan], len(chosen))
    in_panel = axes.get_xaxis_transform()
    axes.plot(x, y, color=INK, alpha=0.5, linewidth=0.8, transform=in_panel)


def _category(value: object) -> str:
    return "missing" if value is None else str(value)


def _datetime_text(seconds: float, column: ColumnDependence) -> str:
    """Write a date, with the time where all are within two days."""
    datetime = np.datetime64(round(seconds), "s")
    is_long = np.ptp(np.array(column.grid, np.float64)) > 2 * _DAY
    return str(datetime.astype("datetime64[D]" if is_long else "datetime64[m]")).replace("T", " ")


def _label_height(column: ColumnDependence) -> float:
    """Return the inches that a panel's tick labels need, beyond the usual."""
    if column.axis == "number":
        return 0.0
    return 0.9 if len(column.grid) > _MAX_SLANTED and column.axis == "category" else 0.4


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
