"""Pictures of the loss over planes of weights."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.surface.landscape import Plane
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.report.landscape.scale import choose_levels, color_map, extend_of, percent, plain
from dlcli.report.landscape.text import (
    MAX_PATHS,
    describe_landscape,
    describe_path,
    describe_paths,
    lower_point,
    or_none,
)
from dlcli.report.picture import COLORS, DASHES, Picture, draw, shortened

# Not the page's ink: they stand on colours that are the same in every page.
_DARK, _LIGHT = "#000000", "#ffffff"
_END: dict[str, Any] = {
    "marker": "*",
    "markersize": 15,
    "markerfacecolor": _LIGHT,
    "markeredgecolor": _DARK,
    "linestyle": "none",
    "zorder": 6,
}
_WAY: dict[str, Any] = {"color": _DARK, "marker": "o", "markersize": 3.5, "linewidth": 1.5}
_START = _END | {"marker": "s", "markersize": 7}
_LOWEST = _END | {"marker": "X", "markersize": 9}
_ENDS = ("*", "o", "^", "D", "v", "P", "X", "p", "h", ">", "<", "8")  # a shape for each path
_APART = 0.13  # of the axes: how far labels are from each other
_MAX_LABELS = 8
_AWAY = 12  # points, from a point to its label
_LONGEST_NAME = 24


def landscape_picture(plane: Plane) -> Picture:
    """Draw the losses over two random directions."""

    def fill(figure: Figure) -> None:
        axes = _fill_plane(figure, plane)
        axes.set_aspect("equal")
        axes.plot(0.0, 0.0, label="result", **_END)
        lower = lower_point(plane)
        if lower is not None:
            axes.plot(*lower[:2], label="lowest on the grid", **_LOWEST)
        axes.set_xlabel("first random direction (1: as long as the weights)")
        axes.set_ylabel("second random direction")
        _explain(figure, axes)

    return draw(
        "landscape", "The loss around the result", describe_landscape(plane), fill, size=(7.5, 6.0)
    )


def path_picture(found: PathPlane) -> Picture:
    """Draw one path, some of its epochs with their number."""
    path = found.main

    def fill(figure: Figure) -> None:
        axes = _fill_plane(figure, found.plane)
        _draw_way(axes, path, _WAY)
        axes.plot(*path.points[0], label=f"start, epoch {path.epochs[0]}", **_START)
        axes.plot(0.0, 0.0, label=f"result, epoch {path.epochs[-1]}", **_END)
        _label_epochs(axes, path)
        _name_directions(axes, found)
        _explain(figure, axes)

    return draw(
        "landscape-path",
        "The way to the result",
        describe_path(found),
        fill,
        size=(7.5, 5.4),
    )


def paths_picture(found: PathPlane) -> Picture:
    """Draw several paths over one plane, each in a line style of its own."""
    shown = list(found.paths.items())[:MAX_PATHS]

    def fill(figure: Figure) -> None:
        axes = _fill_plane(figure, found.plane, is_pale=True)
        for index, (name, path) in enumerate(shown):
            color = COLORS[index % len(COLORS)]
            _draw_way(axes, path, {"color": color, "linestyle": DASHES[index % len(DASHES)]})
            axes.plot(*path.points[0], **_START)
            end = _END | {"marker": _ENDS[index], "markersize": 11, "markerfacecolor": color}
            axes.plot(*path.points[-1], **end)
            entry = f"{shortened(name, _LONGEST_NAME)}: {or_none(path.losses[-1])}"
            lines = {"color": color, "linestyle": DASHES[index % len(DASHES)]}
            axes.plot([], [], label=entry, **(end | lines))
        axes.plot([], [], label="start", **_START)
        _name_directions(axes, found)
        _explain(figure, axes, "training loss of the weights at the end")

    return draw(
        "landscape-paths",
        "The ways of the optimizers",
        describe_paths(found),
        fill,
        size=(7.5, 5.4 + 0.22 * (len(shown) // 3)),
    )


def _fill_plane(figure: Figure, plane: Plane, *, is_pale: bool = False) -> Axes:
    """Draw the losses as filled contours, with their colour bar."""
    axes = figure.add_subplot()
    axes.grid(visible=False)
    levels = choose_levels(plane.losses)
    extend = extend_of(levels, plane.losses)
    colors, norm = color_map(levels, extend, is_pale=is_pale)
    losses = np.ma.masked_invalid(plane.losses)
    bands = axes.contourf(
        plane.x, plane.y, losses, levels=levels, cmap=colors, norm=norm, extend=extend
    )
    axes.contour(plane.x, plane.y, losses, levels=levels, colors=_DARK, linewidths=0.4, alpha=0.35)
    every = -(-len(levels) // 8)
    bar = figure.colorbar(bands, ax=axes, ticks=levels[::every], label="training loss")
    bar.ax.set_yticklabels([plain(level) for level in levels[::every]])
    bar.ax.minorticks_off()
    axes.set_xlim(plane.x[0], plane.x[-1])
    axes.set_ylim(plane.y[0], plane.y[-1])
    return axes


def _draw_way(axes: Axes, path: Trajectory, style: dict[str, Any]) -> None:
    """Draw a line that stands out from what is below it."""
    x, y = path.points.T
    axes.plot(x, y, color=_LIGHT, linewidth=4.0, alpha=0.8, solid_capstyle="round", zorder=3)
    axes.plot(x, y, zorder=4, **style)


def _labelled(places: np.ndarray) -> list[int]:
    """Return the points between start and end that are apart from each other, [points, 2]."""
    taken = [0, len(places) - 1]
    for index in range(1, len(places) - 1):
        distances = np.linalg.norm(places[taken] - places[index], axis=1)
        if distances.min() >= _APART and len(taken) < _MAX_LABELS + 2:
            taken.append(index)
    return taken[2:]


def _label_epochs(axes: Axes, path: Trajectory) -> None:
    """Write some epochs beside their points, on the outer side of the bend."""
    places = path.points / [np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())]
    for index in _labelled(places):
        before, own, after = places[index - 1 : index + 2]
        x, y = after - before
        outwards = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-12)
        if outwards @ (before + after - 2 * own) > 0:
            outwards = -outwards
        axes.annotate(
            str(path.epochs[index]),
            path.points[index],
            xytext=tuple(_AWAY * outwards),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize="small",
            color=_DARK,
            bbox={"facecolor": _LIGHT, "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
            zorder=5,
        )


def _name_directions(axes: Axes, found: PathPlane) -> None:
    first, second = found.shares
    axes.set_xlabel(f"first main direction ({percent(first)} of the squared distance)")
    axes.set_ylabel(f"second main direction ({percent(second)})")


def _explain(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """Say below the axes what is what; axes may be full."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, title=title, loc="outside lower center", ncols=3, fontsize="small"
    )
