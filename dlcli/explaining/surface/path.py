"""The path of training through the weights, in the plane that shows most of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.landscape import (
    SECONDS,
    LossGrid,
    choose_detail,
    choose_rows,
    compute_grid,
)
from dlcli.explaining.surface.weight_plane import (
    WeightPlane,
    Weights,
    buffers_of,
    loss_of,
    losses_on,
)
from dlcli.explaining.unavailable import Unavailable
from dlcli.training.rows.batches import Rows

Snapshots = Sequence[tuple[int, Mapping[str, Tensor]]]  # epoch and weights, in their order

_MIN_SNAPSHOTS = 3
_MARGIN = 0.25  # of the paths' width, on each side
_MIN_ASPECT = 0.4  # of the plane's width to its height, and the other way round


@dataclass(frozen=True)
class Trajectory:
    """A path, snapshot by snapshot, with its losses and those that the plane shows."""

    epochs: tuple[int, ...]
    points: np.ndarray  # [snapshots, 2], in the units of the weights
    losses: np.ndarray  # [snapshots], of the weights themselves, NaN where not finite
    shown: np.ndarray  # [snapshots], at their projections onto the plane


@dataclass(frozen=True)
class PathPlane:
    """Losses over the plane of the principal directions of paths, through the end of one path."""

    grid: LossGrid
    shares: tuple[float, float]  # of the squared distances from (0, 0), in each direction
    paths: Mapping[str, Trajectory]
    center: str  # the path that ends at (0, 0)
    left_out: Mapping[str, str]  # other paths, each with a reason that ends a sentence

    @property
    def main(self) -> Trajectory:
        """The path that ends at (0, 0)."""
        return self.paths[self.center]


def end_at(snapshots: Snapshots, epoch: int, weights: Weights) -> Snapshots:
    """Return the snapshots before an epoch, followed by the weights of that epoch."""
    return [*(snapshot for snapshot in snapshots if snapshot[0] < epoch), (epoch, weights)]


def path_plane(
    model: ExplainedModel, snapshots: Snapshots, rows: Rows, *, seconds: float = SECONDS
) -> PathPlane | Unavailable:
    """Return the plane of the path to a network's weights, which are the last snapshot.

    As in Li et al. (2018, arXiv:1712.09913): the two principal directions of the differences to
    the last weights. `rows` and `seconds` are those of `loss_landscape`.
    """
    if len(snapshots) < _MIN_SNAPSHOTS:
        return Unavailable(
            f"a path needs {_MIN_SNAPSHOTS} snapshots of the weights, but {_counted(snapshots)}"
        )
    reason = _reason_against(snapshots, model)
    if reason is not None:
        return Unavailable(reason)
    return _plane(model, {"training": snapshots}, rows, {}, seconds)


def paths_plane(
    model: ExplainedModel, paths: Mapping[str, Snapshots], rows: Rows, *, seconds: float = SECONDS
) -> PathPlane | Unavailable:
    """Return one plane for several paths of the same network: their principal directions.

    It passes through the end with the lowest loss on the rows, which is thereby exact; the losses
    of the others are in `Trajectory.losses`, beside what the plane shows. The model's weights
    are not used; snapshots include batch norm's running statistics, if there are any.
    """
    reasons = {
        name: _reason_against(snapshots, model, wants_buffers=True)
        for name, snapshots in paths.items()
    }
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    sound = {name: snapshots for name, snapshots in paths.items() if name not in left_out}
    num_snapshots = sum(map(len, sound.values()))
    if num_snapshots < _MIN_SNAPSHOTS:
        left = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        return Unavailable(
            f"there are fewer than {_MIN_SNAPSHOTS} snapshots of weights{left and f' ({left})'}"
        )
    return _plane(model, sound, rows, left_out, seconds)


def _plane(
    model: ExplainedModel,
    paths: Mapping[str, Snapshots],
    rows: Rows,
    left_out: Mapping[str, str],
    seconds: float,
) -> PathPlane | Unavailable:
    detail = choose_detail(model.plan, len(rows), seconds=seconds)
    if isinstance(detail, Unavailable):
        return detail
    chosen = choose_rows(rows, detail.num_rows, model.seed)
    losses = {
        name: np.array([loss_of(weights, model, chosen) for _, weights in snapshots])
        for name, snapshots in paths.items()
    }
    center = min(paths, key=lambda name: np.nan_to_num(losses[name][-1], nan=np.inf))
    _, last = paths[center][-1]
    device = model.placement.device
    ends = {name: last[name].to(device) for name, _ in model.network.named_parameters()}
    main = principal_directions(
        [weights for snapshots in paths.values() for _, weights in snapshots], ends
    )
    if isinstance(main, Unavailable):
        return main
    weights = WeightPlane(ends, main.first, main.second, buffers_of(last, model))
    x, y = _spans(main.points)
    grid = compute_grid(weights, model, rows, detail=detail, x=x, y=y)
    if isinstance(grid, Unavailable):
        return grid
    cuts = np.cumsum([len(snapshots) for snapshots in paths.values()])[:-1]
    shown = np.split(losses_on(weights, main.points, model, chosen), cuts)
    return PathPlane(
        grid=grid,
        shares=main.shares,
        paths={
            name: Trajectory(tuple(epoch for epoch, _ in snapshots), points, losses[name], below)
            for (name, snapshots), points, below in zip(
                paths.items(), np.split(main.points, cuts), shown, strict=True
            )
        },
        center=center,
        left_out=left_out,
    )


def _reason_against(
    snapshots: Snapshots, model: ExplainedModel, *, wants_buffers: bool = False
) -> str | None:
    """Return why a path can't be shown; None: it can."""
    if not snapshots:
        return "there are no snapshots of its weights"
    network = model.network
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    for epoch, weights in snapshots:
        if any(name not in weights or weights[name].shape != shapes[name] for name in shapes):
            return f"the weights of epoch {epoch} are not those of this network"
        if not all(weights[name].isfinite().all() for name in shapes):
            return f"the weights of epoch {epoch} are not finite"
        if wants_buffers and any(name not in weights for name, _ in network.named_buffers()):
            return f"the weights of epoch {epoch} come without batch norm's running statistics"
    return None


def _spans(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the lowest and highest x and y around points, with a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    widths = high - low
    margins = _MARGIN * np.maximum(widths, _MIN_ASPECT * widths[::-1])
    (left, bottom), (right, top) = (low - margins).tolist(), (high + margins).tolist()
    return (left, right), (bottom, top)


def _counted(snapshots: Snapshots) -> str:
    return {0: "there are none", 1: "there is 1"}.get(len(snapshots), f"there are {len(snapshots)}")


_BLOCK = 2**16  # numbers of each snapshot that are processed together
_ROUNDING = 1e-7  # of float32: smaller relative changes are none
_LINE = 1e-5  # of the first direction's length, which the second one's must exceed


@dataclass(frozen=True)
class PrincipalDirections:
    """The first two principal directions, of length 1."""

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    points: np.ndarray  # [snapshots, 2], float64: the projections of the snapshots
    shares: tuple[float, float]  # of the squared distances from the centre


def principal_directions(
    snapshots: Sequence[Weights], center: Weights
) -> PrincipalDirections | Unavailable:
    """Find the directions of the largest squared distances from the centre, over all snapshots.

    Principal components about the centre in place of the mean, so that it lies in the plane. They
    follow from the inner products of the snapshots, of which there are few, however many
    parameters there are. `center` defines which parameters are used.
    """
    products = _inner_products(snapshots, center)
    sizes, vectors = np.linalg.eigh(products)
    sizes, vectors = np.maximum(sizes[::-1], 0.0), vectors[:, ::-1]
    length = float(
        torch.stack([middle.double().square().sum() for middle in center.values()]).sum()
    )
    if np.sqrt(sizes[0]) <= _ROUNDING * np.sqrt(length):
        return Unavailable("the weights are the same in all snapshots")
    if len(sizes) < 2 or np.sqrt(sizes[1]) <= _LINE * np.sqrt(sizes[0]):
        return Unavailable("the snapshots lie on a line, which defines no plane")
    lengths = np.sqrt(sizes[:2])
    points = vectors[:, :2] * lengths
    # The sign of a direction is arbitrary: paths come from the left, and mostly from above.
    signs = np.where(points.sum(axis=0) * (1, -1) > 0, -1.0, 1.0)
    points *= signs
    points[np.diag(products) == 0.0] = 0.0
    factors = vectors[:, :2] * signs / lengths
    first, second = (_combine(snapshots, center, factors[:, index]) for index in range(2))
    shares = sizes[:2] / np.trace(products)
    return PrincipalDirections(first, second, points, (float(shares[0]), float(shares[1])))


def _inner_products(snapshots: Sequence[Weights], center: Weights) -> np.ndarray:
    """Return the inner products of the differences to the centre, [snapshots, snapshots]."""
    products = torch.zeros(len(snapshots), len(snapshots), dtype=torch.float64)
    for name, middle in center.items():
        flat = [snapshot[name].flatten().cpu() for snapshot in snapshots]
        for start in range(0, middle.numel(), _BLOCK):
            block = torch.stack([vector[start : start + _BLOCK] for vector in flat]).double()
            block -= middle.flatten()[start : start + _BLOCK].double().cpu()
            products += block @ block.T
    found: np.ndarray = products.numpy()
    return found


def _combine(
    snapshots: Sequence[Weights], center: Weights, factors: np.ndarray
) -> dict[str, Tensor]:
    """Return the sum of the differences to the centre, weighted by the factors."""
    combined = {}
    for name, middle in center.items():
        total = torch.zeros(middle.shape, dtype=torch.float64)
        for snapshot, factor in zip(snapshots, factors.tolist(), strict=True):
            total += factor * (snapshot[name].double().cpu() - middle.double().cpu())
        combined[name] = total.to(middle)
    return combined
