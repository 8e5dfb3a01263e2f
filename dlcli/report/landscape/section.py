"""The loss landscape: the loss around the trained network, and the path of training."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dlcli.explaining.surface.landscape import LossGrid
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.charts.chart import (
    NUM_COLORS,
    NUM_DASHES,
    Axis,
    Chart,
    Color,
    Dots,
    Label,
    Line,
    Mark,
    Panel,
    Raster,
    Shape,
)
from dlcli.report.landscape.captions import (
    MAX_PATHS,
    describe_landscape,
    describe_path,
    describe_paths,
    loss_or_none,
    lower_point,
)
from dlcli.report.landscape.scale import band_pixels, choose_levels, color_bar, percent
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened

_SIZES: dict[Shape, float] = {"star": 13.0, "square": 7.0, "cross": 9.0}
_MIN_DISTANCE = 0.13  # between labels, as a share of the axes
_MAX_LABELS = 8
_LABEL_OFFSET = 0.035  # from a point to its label, as a share of the axes
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
    marks = [_marker("star", [0.0, 0.0], "trained network")]
    lower = lower_point(grid)
    if lower is not None:
        marks.append(_marker("cross", lower[:2], "lowest grid point"))
    labels = ("first random direction (in weight lengths)", "second random direction")
    chart = _chart(grid, marks, labels, is_square=True)
    title = "Loss around the trained network"
    return chart_picture("landscape", title, describe_landscape(grid), chart)


def path_picture(found: PathPlane) -> Picture:
    """Draw one path, with the numbers of some epochs."""
    path = found.main
    marks = [
        *_path_marks(path),
        _marker("square", path.points[0], f"start: epoch {path.epochs[0]}"),
        _marker("star", [0.0, 0.0], f"trained network: epoch {path.epochs[-1]}"),
        *_epoch_labels(found.grid, path),
    ]
    chart = _chart(found.grid, marks, _directions(found))
    return chart_picture("landscape-path", "Path of training", describe_path(found), chart)


def paths_picture(found: PathPlane) -> Picture:
    """Draw several paths over one grid, each in a different line style."""
    marks: list[Mark] = []
    for index, (name, path) in enumerate(list(found.paths.items())[:MAX_PATHS]):
        color, dashes = index % NUM_COLORS, index % NUM_DASHES
        entry = f"{shortened(name, _MAX_NAME_LENGTH)}: {loss_or_none(path.losses[-1])}"
        marks += _path_marks(path, entry, color, dashes)
        marks.append(_marker("square", path.points[0], "start"))
        marks.append(_marker("star", path.points[-1], "", color))
    marks.append(_marker("star", [np.nan, np.nan], "end"))
    chart = _chart(found.grid, marks, _directions(found), is_pale=True)
    chart = replace(chart, legend_title="training loss at the end")
    return chart_picture("landscape-paths", "Paths of the optimizers", describe_paths(found), chart)


def _chart(
    grid: LossGrid,
    marks: Sequence[Mark],
    labels: tuple[str, str],
    *,
    is_pale: bool = False,
    is_square: bool = False,
) -> Chart:
    """Return marks over the losses, in colours of which each stands for a band of losses."""
    levels = choose_levels(grid.losses)
    x0, x1, y0, y1 = (float(end) for end in (*grid.x[[0, -1]], *grid.y[[0, -1]]))
    pixels = band_pixels(grid.losses, levels, is_pale=is_pale)
    panel = Panel(
        (Raster(pixels, x0, y0, x1, y1), *marks),
        Axis(labels[0], x0, x1, has_grid=False),
        Axis(labels[1], y0, y1, has_grid=False),
        is_square=is_square,
    )
    bar = color_bar(grid.losses, levels, is_pale=is_pale)
    widths = (20.0, 1.0, 3.0) if is_square else (24.0, 1.0)
    return Chart(((panel, bar),), height=376.0 if is_square else 380.0, widths=widths)


def _path_marks(
    path: Trajectory, name: str = "", color: Color = "black", dashes: int = 0
) -> list[Mark]:
    """Return a line that stands out from its background, with a point for each snapshot."""
    x, y = path.points.T
    below = Line(x, y, color="white", width=4.5, opacity=0.8, has_tooltip=False)
    return [below, Line(x, y, name, color, dashes, is_marked=not name)]


def _marker(
    shape: Shape, point: Sequence[float] | np.ndarray, name: str, color: Color = "white"
) -> Dots:
    size = _SIZES[shape]
    return Dots([point[0]], [point[1]], name, color, shape, size, has_tooltip=False, has_edge=True)


def _choose_labels(points: np.ndarray) -> list[int]:
    """Return the indices of points [points, 2] far enough from each other, without both ends."""
    taken = [0, len(points) - 1]
    for index in range(1, len(points) - 1):
        distances = np.linalg.norm(points[taken] - points[index], axis=1)
        if distances.min() >= _MIN_DISTANCE and len(taken) < _MAX_LABELS + 2:
            taken.append(index)
    return taken[2:]


def _epoch_labels(grid: LossGrid, path: Trajectory) -> list[Label]:
    """Return epochs next to their points, on the outer side of the bend."""
    spans = np.array([np.ptp(grid.x), np.ptp(grid.y)])
    points = path.points / spans
    labels = []
    for index in _choose_labels(points):
        before, point, after = points[index - 1 : index + 2]
        x, y = after - before
        outwards = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-12)
        if outwards @ (before + after - 2 * point) > 0:
            outwards = -outwards
        place = path.points[index] + _LABEL_OFFSET * outwards * spans
        labels.append(Label(float(place[0]), float(place[1]), str(path.epochs[index])))
    return labels


def _directions(found: PathPlane) -> tuple[str, str]:
    first, second = found.shares
    return (
        f"first principal direction ({percent(first)})",
        f"second principal direction ({percent(second)})",
    )
