"""The loss landscape: the loss around the trained network, and the path of training."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.surface.landscape import LossGrid
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.charts.style import COLORS, DASHES
from dlcli.report.drawing import draw
from dlcli.report.landscape.captions import (
    MAX_PATHS,
    describe_landscape,
    describe_path,
    describe_paths,
    loss_or_none,
    lower_point,
)
from dlcli.report.landscape.scale import choose_levels, color_map, extend_of, loss_text, percent
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, shortened

# Not the page's ink: the background is the same in light and dark pages.
_DARK, _LIGHT = "#000000", "#ffffff"
_END: dict[str, Any] = {
    "marker": "*",
    "markersize": 15,
    "markerfacecolor": _LIGHT,
    "markeredgecolor": _DARK,
    "linestyle": "none",
    "zorder": 6,
}
_PATH: dict[str, Any] = {"color": _DARK, "marker": "o", "markersize": 3.5, "linewidth": 1.5}
_START = _END | {"marker": "s", "markersize": 7}
_MINIMUM = _END | {"marker": "X", "markersize": 9}
_END_MARKERS = ("*", "o", "^", "D", "v", "P", "X", "p", "h", ">", "<", "8")  # one for each path
_MIN_DISTANCE = 0.13  # between labels, as a share of the axes
_MAX_LABELS = 8
_LABEL_OFFSET = 12  # typographic points, from a point to its label
_MAX_NAME_LENGTH = 24


def landscape_section(
    landscape: LossGrid | Unavailable, path: PathPlane | Unavailable
) -> PageSection:
    """Return both pictures, or the reason why one is missing."""
    pictures: list[Picture] = []
    if isinstance(landscape, LossGrid):
        pictures.append(landscape_picture(landscape))
    if isinstance(path, PathPlane):
        pictures.append(path_picture(path))
    sentences = tuple(_sentences(landscape, path))
    return PageSection("Loss landscape", sentences, pictures=tuple(pictures))


def _sentences(landscape: LossGrid | Unavailable, path: PathPlane | Unavailable) -> Iterator[str]:
    grid = path.grid if isinstance(path, PathPlane) else landscape
    if isinstance(grid, LossGrid):
        yield (
            "Each point is this network with different weights. A picture shows 2 of "
            f"{grid.num_parameters:,} dimensions and says nothing about the others. The loss is "
            "the training loss in the units of the run's losses, without dropout and weight decay."
        )
        if grid.num_rows < grid.num_known_rows:
            yield (
                f"To take only seconds, it is computed at {len(grid.x)} × {len(grid.y)} points on "
                f"{grid.num_rows:,} training rows, sampled from {grid.num_known_rows:,}."
            )
        if grid.keeps_statistics:
            yield (
                "Batch norm uses the running statistics of the trained network at every point: far "
                "from it, the loss is not what training saw."
            )
    if isinstance(path, PathPlane):
        yield (
            "In their principal directions nearly all paths through so many dimensions are smooth "
            "curves (Antognini and Sohl-Dickstein 2018): the bend itself means nothing."
        )
    if isinstance(landscape, Unavailable):
        yield f"The loss around the trained network is not shown: {landscape.reason}."
    if isinstance(path, Unavailable):
        yield f"The path of training is not shown: {path.reason}."


def landscape_picture(grid: LossGrid) -> Picture:
    """Draw the losses over two random directions."""

    def fill(figure: Figure) -> None:
        axes = _fill_grid(figure, grid)
        axes.set_aspect("equal")
        axes.plot(0.0, 0.0, label="trained network", **_END)
        lower = lower_point(grid)
        if lower is not None:
            axes.plot(*lower[:2], label="lowest grid point", **_MINIMUM)
        axes.set_xlabel("first random direction (1: as long as the weights)")
        axes.set_ylabel("second random direction")
        _add_legend(figure, axes)

    return draw(
        "landscape",
        "Loss around the trained network",
        describe_landscape(grid),
        fill,
        size=(7.5, 6.0),
    )


def path_picture(found: PathPlane) -> Picture:
    """Draw one path, with the numbers of some epochs."""
    path = found.main

    def fill(figure: Figure) -> None:
        axes = _fill_grid(figure, found.grid)
        _draw_path(axes, path, _PATH)
        axes.plot(*path.points[0], label=f"start: epoch {path.epochs[0]}", **_START)
        axes.plot(0.0, 0.0, label=f"trained network: epoch {path.epochs[-1]}", **_END)
        _label_epochs(axes, path)
        _label_directions(axes, found)
        _add_legend(figure, axes)

    return draw(
        "landscape-path",
        "Path of training",
        describe_path(found),
        fill,
        size=(7.5, 5.4),
    )


def paths_picture(found: PathPlane) -> Picture:
    """Draw several paths over one grid, each in a different line style."""
    shown = list(found.paths.items())[:MAX_PATHS]

    def fill(figure: Figure) -> None:
        axes = _fill_grid(figure, found.grid, is_pale=True)
        for index, (name, path) in enumerate(shown):
            color = COLORS[index % len(COLORS)]
            _draw_path(axes, path, {"color": color, "linestyle": DASHES[index % len(DASHES)]})
            axes.plot(*path.points[0], **_START)
            end = _END | {"marker": _END_MARKERS[index], "markersize": 11, "markerfacecolor": color}
            axes.plot(*path.points[-1], **end)
            entry = f"{shortened(name, _MAX_NAME_LENGTH)}: {loss_or_none(path.losses[-1])}"
            lines = {"color": color, "linestyle": DASHES[index % len(DASHES)]}
            axes.plot([], [], label=entry, **(end | lines))
        axes.plot([], [], label="start", **_START)
        _label_directions(axes, found)
        _add_legend(figure, axes, "training loss at the end")

    return draw(
        "landscape-paths",
        "Paths of the optimizers",
        describe_paths(found),
        fill,
        size=(7.5, 5.4 + 0.22 * (len(shown) // 3)),
    )


def _fill_grid(figure: Figure, grid: LossGrid, *, is_pale: bool = False) -> Axes:
    """Draw the losses as filled contours, with a colour bar."""
    axes = figure.add_subplot()
    axes.grid(visible=False)
    levels = choose_levels(grid.losses)
    extend = extend_of(levels, grid.losses)
    colors, norm = color_map(levels, extend, is_pale=is_pale)
    losses = np.ma.masked_invalid(grid.losses)
    bands = axes.contourf(
        grid.x, grid.y, losses, levels=levels, cmap=colors, norm=norm, extend=extend
    )
    axes.contour(grid.x, grid.y, losses, levels=levels, colors=_DARK, linewidths=0.4, alpha=0.35)
    step = -(-len(levels) // 8)
    bar = figure.colorbar(bands, ax=axes, ticks=levels[::step], label="training loss")
    bar.ax.set_yticklabels([loss_text(level) for level in levels[::step]])
    bar.ax.minorticks_off()
    axes.set_xlim(grid.x[0], grid.x[-1])
    axes.set_ylim(grid.y[0], grid.y[-1])
    return axes


def _draw_path(axes: Axes, path: Trajectory, style: dict[str, Any]) -> None:
    """Draw a line that stands out from its background."""
    x, y = path.points.T
    axes.plot(x, y, color=_LIGHT, linewidth=4.0, alpha=0.8, solid_capstyle="round", zorder=3)
    axes.plot(x, y, zorder=4, **style)


def _choose_labels(points: np.ndarray) -> list[int]:
    """Return the indices of points [points, 2] far enough from each other, without both ends."""
    taken = [0, len(points) - 1]
    for index in range(1, len(points) - 1):
        distances = np.linalg.norm(points[taken] - points[index], axis=1)
        if distances.min() >= _MIN_DISTANCE and len(taken) < _MAX_LABELS + 2:
            taken.append(index)
    return taken[2:]


def _label_epochs(axes: Axes, path: Trajectory) -> None:
    """Write epochs next to their points, on the outer side of the bend."""
    points = path.points / [np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())]
    for index in _choose_labels(points):
        before, point, after = points[index - 1 : index + 2]
        x, y = after - before
        outwards = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-12)
        if outwards @ (before + after - 2 * point) > 0:
            outwards = -outwards
        axes.annotate(
            str(path.epochs[index]),
            path.points[index],
            xytext=tuple(_LABEL_OFFSET * outwards),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize="small",
            color=_DARK,
            bbox={"facecolor": _LIGHT, "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
            zorder=5,
        )


def _label_directions(axes: Axes, found: PathPlane) -> None:
    first, second = found.shares
    axes.set_xlabel(f"first principal direction ({percent(first)} of the squared distance)")
    axes.set_ylabel(f"second principal direction ({percent(second)})")


def _add_legend(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """Add a legend below the axes, which may be full."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, title=title, loc="outside lower center", ncols=3, fontsize="small"
    )
