"""Captions of the pictures of the loss landscape."""

from collections.abc import Iterator

import numpy as np

from dlcli.explaining.surface.landscape import LossGrid
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.report.landscape.scale import FLAT, choose_levels, is_flat, loss_text, percent
from dlcli.report.picture import shortened

MAX_PATHS = 12  # in one picture
_LOWER = 0.01  # share of the trained network's loss by which another point must be lower
_RING = 0.5  # distance at which the loss in random directions is reported
_FAR = 1.5  # factor beyond the outer levels from which on a colour hides much
_MAX_NAME_LENGTH = 60


def describe_landscape(grid: LossGrid) -> str:
    """Describe the losses over two random directions."""
    return " ".join(_landscape(grid))


def describe_path(found: PathPlane) -> str:
    """Describe one path and the losses below it."""
    return " ".join(_path(found))


def describe_paths(found: PathPlane) -> str:
    """Describe several paths and the losses below them."""
    return " ".join(_paths(found))


def lower_point(grid: LossGrid) -> tuple[float, float, float] | None:
    """Return x, y and the loss of the lowest point of the grid, where that is lower."""
    row, column = np.unravel_index(np.nanargmin(grid.losses), grid.losses.shape)
    loss = float(grid.losses[row, column])
    if loss >= (1 - _LOWER) * grid.center_loss:
        return None
    return float(grid.x[column]), float(grid.y[row]), loss


def loss_or_none(loss: float) -> str:
    """Write a loss that may not be finite."""
    return loss_text(float(loss)) if np.isfinite(loss) else "not finite"


def _landscape(grid: LossGrid) -> Iterator[str]:
    yield (
        f"{_grid(grid)} around the trained network (star, in the middle). Axes: two random "
        "directions; at a distance of 1 every filter has changed by a vector of its length. The "
        f"loss is {loss_text(grid.center_loss)} at the trained network and {_range(grid)} in the "
        "plane."
    )
    low, high = _on_ring(grid)
    if np.isfinite(low):
        yield (f"At a distance of {_RING:g} it is between {loss_text(low)} and {loss_text(high)}.")
    lower = lower_point(grid)
    if lower is None:
        yield f"No grid point is lower than the trained network by more than {percent(_LOWER)}."
    else:
        x, y, loss = lower
        yield f"The lowest grid point, {loss_text(loss)}, is at ({x:.2g}, {y:.2g}) (cross)."
    yield from _unusual(grid)


def _path(found: PathPlane) -> Iterator[str]:
    grid, path = found.grid, found.main
    yield (
        f"{_grid(grid)}, with the path of training from epoch {path.epochs[0]} (square) to the "
        f"trained network, epoch {path.epochs[-1]} (star), from {len(path.epochs)} snapshots of "
        f"the weights; numbers are epochs. {_directions(found)} The loss is "
        f"{loss_text(grid.center_loss)} at the trained network and {_range(grid)} in the plane."
    )
    yield (
        "The snapshots themselves lie off the plane: at the start the loss is "
        f"{loss_or_none(path.losses[0])}, while the plane shows {loss_or_none(path.shown[0])}."
    )
    yield from _unusual(grid)


def _paths(found: PathPlane) -> Iterator[str]:
    grid = found.grid
    names = list(found.paths)
    yield (
        f"{_grid(grid)}, with the paths of {len(names)} optimizers, each from its start (square) "
        f"to its end (star). {_directions(found)} The plane passes through "
        f"the lowest end, that of {_short(found.center)}, with a loss of "
        f"{loss_text(grid.center_loss)}; in the plane it is {_range(grid)}. Loss at each end, and "
        "what the plane shows there: "
        f"{'; '.join(_end(name, found.paths[name]) for name in names[:MAX_PATHS])}."
    )
    if len(names) > MAX_PATHS:
        yield f"{len(names) - MAX_PATHS} more paths are not drawn."
    if grid.keeps_statistics:
        yield f"In the plane, batch norm uses the running statistics of {_short(found.center)}."
    for name, reason in found.left_out.items():
        yield f"{_short(name)} is left out: {reason}."
    yield from _unusual(grid)


def _grid(grid: LossGrid) -> str:
    is_sampled = grid.num_rows < grid.num_known_rows
    rows = f"{grid.num_rows:,} training rows"
    rows += f" (sampled from {grid.num_known_rows:,})" if is_sampled else ""
    return f"Mean loss over {rows} at {len(grid.x)} × {len(grid.y)} points"


def _directions(found: PathPlane) -> str:
    first, second = found.shares
    return (
        "Axes: the two principal directions of all snapshots, in units of the weights, with "
        f"{percent(first)} and {percent(second)} of the squared distance from (0, 0)."
    )


def _range(grid: LossGrid) -> str:
    low, high = float(np.nanmin(grid.losses)), float(np.nanmax(grid.losses))
    return f"{loss_text(low)} to {loss_text(high)}"


def _on_ring(grid: LossGrid) -> tuple[float, float]:
    """Return the lowest and highest loss at about the distance of the ring."""
    distance = np.hypot(*np.meshgrid(grid.x, grid.y))
    step = float(grid.x[1] - grid.x[0])
    ring = grid.losses[(np.abs(distance - _RING) <= step / 2) & np.isfinite(grid.losses)]
    return (float(ring.min()), float(ring.max())) if len(ring) else (np.nan, np.nan)


def _unusual(grid: LossGrid) -> Iterator[str]:
    num_not_finite = int(np.isnan(grid.losses).sum())
    if num_not_finite:
        num_points = f"{num_not_finite:,} of {grid.losses.size:,} points"
        yield f"{num_points} have no finite loss and are left blank."
    levels = choose_levels(grid.losses)
    if np.nanmax(grid.losses) > _FAR * levels[-1]:
        yield f"Losses above {loss_text(levels[-1])} share one colour."
    if _FAR * np.nanmin(grid.losses) < levels[0]:
        yield f"Losses below {loss_text(levels[0])} share one colour."
    if is_flat(grid.losses):
        yield f"Losses differ by less than {percent(FLAT)} in the plane and are drawn as flat."


def _end(name: str, path: Trajectory) -> str:
    return f"{_short(name)} {loss_or_none(path.losses[-1])} and {loss_or_none(path.shown[-1])}"


def _short(name: str) -> str:
    return shortened(name, _MAX_NAME_LENGTH)
