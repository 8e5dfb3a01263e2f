"""What is to be seen in the losses over a plane of weights, in words."""

from collections.abc import Iterator

import numpy as np

from dlcli.explaining.surface.landscape import Plane
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.report.landscape.scale import FLAT, choose_levels, is_flat, percent, plain
from dlcli.report.picture import shortened

MAX_PATHS = 12  # in one picture
_LOWER = 0.01  # of the result's loss: by less, another point counts as no lower
_RING = 0.5  # the distance at which random directions are looked at
_FAR = 1.5  # times the highest level, or below the lowest: from here on a colour hides much
_LONGEST_NAME = 60


def describe_landscape(plane: Plane) -> str:
    """Describe the losses over two random directions."""
    return " ".join(_landscape(plane))


def describe_path(found: PathPlane) -> str:
    """Describe one path and the losses below it."""
    return " ".join(_path(found))


def describe_paths(found: PathPlane) -> str:
    """Describe several paths and the losses below them."""
    return " ".join(_paths(found))


def lower_point(plane: Plane) -> tuple[float, float, float] | None:
    """Return x, y and the loss of the lowest point of the grid, where it is below the result."""
    row, column = np.unravel_index(np.nanargmin(plane.losses), plane.losses.shape)
    loss = float(plane.losses[row, column])
    if loss >= (1 - _LOWER) * plane.center_loss:
        return None
    return float(plane.x[column]), float(plane.y[row]), loss


def or_none(loss: float) -> str:
    """Write a loss that may not be finite."""
    return plain(float(loss)) if np.isfinite(loss) else "not finite"


def _landscape(plane: Plane) -> Iterator[str]:
    yield (
        f"{_grid(plane)} around the result, which lies in the middle (star). Axes: two random "
        "directions; at a distance of 1 every filter has changed by a vector as long as itself. "
        f"The loss is {plain(plane.center_loss)} at the result and {_range(plane)} in the plane."
    )
    low, high = _on_ring(plane)
    if np.isfinite(low):
        yield f"At a distance of {_RING:g} it lies between {plain(low)} and {plain(high)}."
    lower = lower_point(plane)
    if lower is None:
        yield f"Nowhere on the grid is it lower than at the result by more than {percent(_LOWER)}."
    else:
        x, y, loss = lower
        yield f"The lowest on the grid, {plain(loss)}, is at ({x:.2g}, {y:.2g}) (cross)."
    yield from _oddities(plane)


def _path(found: PathPlane) -> Iterator[str]:
    plane, path = found.plane, found.main
    yield (
        f"{_grid(plane)}, and on it the path of the training from epoch {path.epochs[0]} (square) "
        f"to the result, epoch {path.epochs[-1]} (star), by {len(path.epochs)} snapshots of the "
        f"weights; numbers are epochs. {_directions(found)} The loss is "
        f"{plain(plane.center_loss)} at the result and {_range(plane)} in the plane."
    )
    yield (
        f"The snapshots themselves lie off the plane: at the start their loss is "
        f"{or_none(path.losses[0])}, where the plane shows {or_none(path.shown[0])}."
    )
    yield from _oddities(plane)


def _paths(found: PathPlane) -> Iterator[str]:
    plane = found.plane
    names = list(found.paths)
    yield (
        f"{_grid(plane)}, and on it the paths of {len(names)} optimizers, each from its start "
        f"(square) to its end (a shape of its own). {_directions(found)} The plane runs through "
        f"the lowest end, that of {_short(found.center)}, with a loss of "
        f"{plain(plane.center_loss)}; in the plane it is {_range(plane)}. What the ends "
        "themselves have, and what the plane shows there: "
        f"{'; '.join(_end(name, found.paths[name]) for name in names[:MAX_PATHS])}."
    )
    if len(names) > MAX_PATHS:
        yield f"{len(names) - MAX_PATHS} more paths are not drawn."
    if plane.keeps_statistics:
        yield f"In the plane, batch norm's running statistics are those of {_short(found.center)}."
    for name, reason in found.left_out.items():
        yield f"{_short(name)} is left out: {reason}."
    yield from _oddities(plane)


def _grid(plane: Plane) -> str:
    drawn = plane.num_rows < plane.num_known_rows
    rows = f"{plane.num_rows:,} training rows"
    rows += f", drawn from {plane.num_known_rows:,}," if drawn else ""
    return f"The mean loss over {rows} at {len(plane.x)} × {len(plane.y)} weights"


def _directions(found: PathPlane) -> str:
    first, second = found.shares
    return (
        "Axes: the two main directions of all snapshots, in units of the weights, with "
        f"{percent(first)} and {percent(second)} of the squared distance from (0, 0)."
    )


def _range(plane: Plane) -> str:
    return f"{plain(float(np.nanmin(plane.losses)))} to {plain(float(np.nanmax(plane.losses)))}"


def _on_ring(plane: Plane) -> tuple[float, float]:
    """Return the lowest and highest loss at about the distance that is looked at."""
    distance = np.hypot(*np.meshgrid(plane.x, plane.y))
    step = float(plane.x[1] - plane.x[0])
    ring = plane.losses[(np.abs(distance - _RING) <= step / 2) & np.isfinite(plane.losses)]
    return (float(ring.min()), float(ring.max())) if len(ring) else (np.nan, np.nan)


def _oddities(plane: Plane) -> Iterator[str]:
    num_endless = int(np.isnan(plane.losses).sum())
    if num_endless:
        num_points = f"{num_endless:,} of {plane.losses.size:,} points"
        yield f"{num_points} have no finite loss and are left empty."
    levels = choose_levels(plane.losses)
    if np.nanmax(plane.losses) > _FAR * levels[-1]:
        yield f"Losses above {plain(levels[-1])} are drawn alike."
    if _FAR * np.nanmin(plane.losses) < levels[0]:
        yield f"Losses below {plain(levels[0])} are drawn alike."
    if is_flat(plane.losses):
        yield f"It differs by less than {percent(FLAT)} in the plane, which is drawn as flat."


def _end(name: str, path: Trajectory) -> str:
    return f"{_short(name)} {or_none(path.losses[-1])} and {or_none(path.shown[-1])}"


def _short(name: str) -> str:
    return shortened(name, _LONGEST_NAME)
