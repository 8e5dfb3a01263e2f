"""A chart → a PNG, where a file of it is asked for: drawn by matplotlib."""

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from dlcli.report.charts.chart import (
    COLORS,
    Band,
    Box,
    Boxes,
    Chart,
    Color,
    Dots,
    Label,
    Line,
    Mark,
    Panel,
    Raster,
    Rule,
    Spans,
)
from dlcli.report.charts.scale import Scale, scales_of
from dlcli.report.charts.style import DASHES, INK, styled

_INCH = 84.0  # units of a chart
_SHAPES = {
    "dot": "o",
    "diamond": "D",
    "square": "s",
    "triangle": "^",
    "cross": "x",
    "star": "*",
}
_POINT = 0.85  # typographic points of a unit


def chart_png(chart: Chart) -> bytes:
    """Return the picture, on white."""
    with styled():
        num_columns = len(chart.widths) or max(map(len, chart.rows))
        height = chart.height / _INCH + 0.9 * len(chart.rows) + 0.25 * len(chart.entries)
        figure = Figure(figsize=(7.5, height), dpi=150, layout="constrained")
        panels = figure.subplots(
            len(chart.rows),
            num_columns,
            squeeze=False,
            height_ratios=list(chart.heights) or None,
            width_ratios=list(chart.widths) or None,
        )
        for row, row_panels in zip(chart.rows, panels, strict=True):
            for axes in row_panels[len(row) :]:
                axes.set_visible(False)
            for panel, axes in zip(row, row_panels, strict=False):
                _draw(panel, axes)
        if chart.entries:
            figure.legend(
                handles=[_handle(entry) for entry in chart.entries],
                title=chart.legend_title or None,
                loc="outside upper left",
                ncols=1 if chart.is_one_column else 3,
            )
        file = BytesIO()
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()


def _draw(panel: Panel, axes: Axes) -> None:
    for mark in panel.marks:
        _draw_mark(mark, axes, is_flipped=panel.y.is_flipped)
    x, y = scales_of(panel)
    if x.axis.is_log:
        axes.set_xscale("log")
    if y.axis.is_log:
        axes.set_yscale("log")
    axes.set_xlim(_ends(x))
    axes.set_ylim(_ends(y))
    for axis, scale in ((axes.xaxis, x), (axes.yaxis, y)):
        texts = ["" if scale.axis.is_hidden else text for _, text in scale.ticks]
        axis.set_ticks([value for value, _ in scale.ticks], texts)
        axis.grid(visible=scale.axis.has_grid)
        axis.set_label_text("" if scale.axis.is_hidden else scale.axis.label)
    axes.minorticks_off()
    axes.tick_params(axis="x", labelrotation=panel.x.turned)
    axes.set_title(panel.title)
    if panel.is_bare:
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("\n".join(panel.captions), loc="left", fontsize="small")
    if panel.is_square:
        axes.set_aspect("equal")


def _ends(scale: Scale) -> tuple[float, float]:
    return (scale.high, scale.low) if scale.axis.is_flipped else (scale.low, scale.high)


def _draw_mark(mark: Mark, axes: Axes, *, is_flipped: bool) -> None:
    match mark:
        case Line():
            marker = "o" if mark.is_marked or len(mark.x) == 1 else None
            axes.plot(mark.x, mark.y, marker=marker, markersize=3, **_stroke(mark))
        case Band():
            style: dict[str, Any] = {"color": _color(mark.color), "alpha": mark.opacity}
            axes.fill_between(mark.x, mark.low, mark.high, linewidth=0, **style)
        case Dots():
            axes.plot(mark.x, mark.y, **_symbol(mark))
        case Rule():
            along = axes.axvline if mark.axis == "x" else axes.axhline
            along(mark.at, **_stroke(mark))
        case Spans():
            ends = np.column_stack([mark.x0, mark.y0, mark.x1, mark.y1]).reshape(-1, 2, 2)
            color, width = _color(mark.color), mark.width * _POINT
            axes.add_collection(
                LineCollection(list(ends), colors=color, linewidths=width, alpha=mark.opacity)
            )
        case Raster():
            bottom, top = (mark.y1, mark.y0) if is_flipped else (mark.y0, mark.y1)
            extent = (mark.x0, mark.x1, bottom, top)
            axes.imshow(mark.pixels, extent=extent, aspect="auto", interpolation="nearest")
        case Boxes():
            for box in mark.boxes:
                _draw_box(box, axes, 8 if mark.is_small else 10)
        case Label():
            back = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none"}
            style = {"fontsize": 8, "bbox": back if mark.has_halo else None}
            axes.text(mark.x, mark.y, mark.text, ha="center", va="center", **style)


def _draw_box(box: Box, axes: Axes, size: float) -> None:
    corner, width, height = (box.x0, box.y0), box.x1 - box.x0, box.y1 - box.y0
    style: dict[str, Any] = {"color": _color(box.color), "alpha": box.opacity, "linewidth": 0}
    axes.add_patch(Rectangle(corner, width, height, **style))
    if box.text:
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        axes.text(x, y, box.text, ha="center", va="center", fontsize=size)


def _handle(entry: Line | Dots | Rule) -> Line2D:
    if isinstance(entry, Dots):
        return Line2D([], [], label=entry.name, **_symbol(entry))
    marker = "o" if isinstance(entry, Line) and entry.is_marked else None
    return Line2D([], [], label=entry.name, marker=marker, markersize=3, **_stroke(entry))


def _stroke(mark: Line | Rule) -> dict[str, Any]:
    return {
        "color": _color(mark.color),
        "linestyle": DASHES[mark.dashes % len(DASHES)],
        "linewidth": mark.width * _POINT,
        "alpha": mark.opacity,
    }


def _symbol(mark: Dots) -> dict[str, Any]:
    style = {
        "color": _color(mark.color),
        "linestyle": "none",
        "marker": _SHAPES[mark.shape],
        "markersize": mark.size * _POINT,
        "markeredgewidth": 1.5 if mark.shape == "cross" else 0,
        "alpha": mark.opacity,
    }
    if mark.has_edge:
        filled = {"cross": "X"}.get(mark.shape, style["marker"])
        style |= {"marker": filled, "markeredgecolor": "black", "markeredgewidth": 1.0}
    return style


def _color(color: Color) -> str:
    if isinstance(color, str):
        return INK if color == "ink" else color
    return COLORS[color % len(COLORS)]
