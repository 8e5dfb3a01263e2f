"""The way that training took through the weights, in the plane that shows most of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.landscape import Plane, choose_rows, compute_plane
from dlcli.explaining.surface.main_directions import main_directions
from dlcli.explaining.surface.plane_detail import SECONDS, choose_detail
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

_FEWEST = 3
_MARGIN = 0.25  # of the paths' width, on each side
_FLATTEST = 0.4  # of the other direction's width: a plane is at least so wide


@dataclass(frozen=True)
class Trajectory:
    """One way, snapshot by snapshot, as it is and as the plane shows it."""

    epochs: tuple[int, ...]
    points: np.ndarray  # [snapshots, 2], in the units of the weights
    losses: np.ndarray  # [snapshots], of the weights themselves, NaN where not finite
    shown: np.ndarray  # [snapshots], of the points of the plane below them


@dataclass(frozen=True)
class PathPlane:
    """Losses over the plane of some paths' main directions, through the end of one of them."""

    plane: Plane
    shares: tuple[float, float]  # of the squared distances from (0, 0), in each direction
    paths: Mapping[str, Trajectory]
    center: str  # the path that ends at (0, 0)
    left_out: Mapping[str, str]  # other paths, and why: the end of a sentence

    @property
    def main(self) -> Trajectory:
        """The path that ends at (0, 0)."""
        return self.paths[self.center]


def end_at(snapshots: Snapshots, epoch: int, weights: Weights) -> Snapshots:
    """Leave out an epoch and what came after it, and end with its weights."""
    return [*((own, some) for own, some in snapshots if own < epoch), (epoch, weights)]


def path_plane(
    subject: ExplainedModel, snapshots: Snapshots, rows: Rows, *, seconds: float = SECONDS
) -> PathPlane | Unavailable:
    """Return the plane of the path to a network's weights, which are the last snapshot.

    As Li et al. (2018, arXiv:1712.09913) show it: the two main directions of the differences to the
    last weights. `rows` and `seconds` are those of `loss_plane`.
    """
    if len(snapshots) < _FEWEST:
        return Unavailable(
            f"a path needs {_FEWEST} snapshots of the weights, and {_counted(snapshots)}"
        )
    reason = _reason_against(snapshots, subject)
    if reason is not None:
        return Unavailable(reason)
    return _plane(subject, {"training": snapshots}, rows, {}, seconds)


def paths_plane(
    subject: ExplainedModel, paths: Mapping[str, Snapshots], rows: Rows, *, seconds: float = SECONDS
) -> PathPlane | Unavailable:
    """Return one plane for several paths of the same network: the main directions of them all.

    Through the end with the lowest loss on the rows, whose loss is thereby exact; what the others
    come to, `Trajectory.losses` says, beside what the plane shows. The subject's weights don't
    count; snapshots come with batch norm's running statistics, where there are some.
    """
    against = {
        name: _reason_against(own, subject, wants_buffers=True) for name, own in paths.items()
    }
    left_out = {name: reason for name, reason in against.items() if reason is not None}
    sound = {name: own for name, own in paths.items() if name not in left_out}
    num_snapshots = sum(map(len, sound.values()))
    if num_snapshots < _FEWEST:
        left = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        return Unavailable(f"no {_FEWEST} snapshots of weights are there{left and f' ({left})'}")
    return _plane(subject, sound, rows, left_out, seconds)


def _plane(
    subject: ExplainedModel,
    paths: Mapping[str, Snapshots],
    rows: Rows,
    left_out: Mapping[str, str],
    seconds: float,
) -> PathPlane | Unavailable:
    detail = choose_detail(subject.plan, len(rows), seconds=seconds)
    if isinstance(detail, Unavailable):
        return detail
    chosen = choose_rows(rows, detail.num_rows, subject.seed)
    losses = {
        name: np.array([loss_of(weights, subject, chosen) for _, weights in own])
        for name, own in paths.items()
    }
    center = min(paths, key=lambda name: np.nan_to_num(losses[name][-1], nan=np.inf))
    _, last = paths[center][-1]
    device = subject.placement.device
    ends = {name: last[name].to(device) for name, _ in subject.network.named_parameters()}
    main = main_directions([weights for own in paths.values() for _, weights in own], ends)
    if isinstance(main, Unavailable):
        return main
    weights = WeightPlane(ends, main.first, main.second, buffers_of(last, subject))
    x, y = _spans(main.points)
    plane = compute_plane(weights, subject, rows, detail=detail, x=x, y=y)
    if isinstance(plane, Unavailable):
        return plane
    cuts = np.cumsum([len(own) for own in paths.values()])[:-1]
    shown = np.split(losses_on(weights, main.points, subject, chosen), cuts)
    return PathPlane(
        plane=plane,
        shares=main.shares,
        paths={
            name: Trajectory(tuple(epoch for epoch, _ in own), points, losses[name], below)
            for (name, own), points, below in zip(
                paths.items(), np.split(main.points, cuts), shown, strict=True
            )
        },
        center=center,
        left_out=left_out,
    )


def _reason_against(
    snapshots: Snapshots, subject: ExplainedModel, *, wants_buffers: bool = False
) -> str | None:
    """Say why a path can't be shown; None: it can."""
    if not snapshots:
        return "there are no snapshots of its weights"
    network = subject.network
    shapes = {name: own.shape for name, own in network.named_parameters()}
    for epoch, weights in snapshots:
        if any(name not in weights or weights[name].shape != shapes[name] for name in shapes):
            return f"the weights of epoch {epoch} are not those of this network"
        if not all(weights[name].isfinite().all() for name in shapes):
            return f"the weights of epoch {epoch} are not finite"
        if wants_buffers and any(name not in weights for name, _ in network.named_buffers()):
            return f"the weights of epoch {epoch} come without batch norm's running statistics"
    return None


def _spans(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the lowest and highest x and y of a plane that holds points with a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    widths = high - low
    margins = _MARGIN * np.maximum(widths, _FLATTEST * widths[::-1])
    (left, bottom), (right, top) = (low - margins).tolist(), (high + margins).tolist()
    return (left, right), (bottom, top)


def _counted(snapshots: Snapshots) -> str:
    return {0: "there are none", 1: "there is 1"}.get(len(snapshots), f"there are {len(snapshots)}")
