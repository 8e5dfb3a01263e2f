"""The loss around a result: over a plane through the network's weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.plane_detail import SECONDS, Detail, choose_detail
from dlcli.explaining.surface.weight_plane import WeightPlane, losses_on
from dlcli.explaining.unavailable import Unavailable
from dlcli.seeds import derive_seed
from dlcli.training.rows.batches import Rows


@dataclass(frozen=True)
class Plane:
    """Mean losses over some training rows, in the target's own units, on a grid."""

    x: np.ndarray  # [columns]; the network is at (0, 0)
    y: np.ndarray  # [rows]
    losses: np.ndarray  # [rows, columns], NaN where the loss is not finite
    center_loss: float  # at (0, 0)
    num_rows: int  # that each loss is the mean over
    num_known_rows: int  # that they were drawn from
    num_parameters: int
    keeps_statistics: bool  # batch norm's running ones are the network's at every point


def loss_plane(
    subject: ExplainedModel, rows: Rows, *, reach: float = 1.0, seconds: float = SECONDS
) -> Plane | Unavailable:
    """Return losses over two random directions around the network, from -reach to reach.

    Filter-normalised (Li, Xu, Taylor, Studer and Goldstein 2018, arXiv:1712.09913): at a distance
    of 1, every filter has been changed by a vector as long as itself. `rows` are training rows, of
    which some are taken where all would take more than about so many seconds.
    """
    detail = choose_detail(subject.plan, len(rows), seconds=seconds)
    if isinstance(detail, Unavailable):
        return detail
    first, second = random_directions(subject.network, subject.seed)
    num_moved = sum(int(direction.count_nonzero()) for direction in first.values())
    if num_moved < 2:
        return Unavailable(f"{num_moved} of the network's weights are not 0, which make no plane")
    parameters = {name: own.detach() for name, own in subject.network.named_parameters()}
    weights = WeightPlane(parameters, first, second, dict(subject.network.named_buffers()))
    span = (-reach, reach)
    return compute_plane(weights, subject, rows, detail=detail, x=span, y=span)


def compute_plane(
    weights: WeightPlane,
    subject: ExplainedModel,
    rows: Rows,
    *,
    detail: Detail,
    x: tuple[float, float],
    y: tuple[float, float],
) -> Plane | Unavailable:
    """Return losses on a grid from the lowest to the highest x and y."""
    chosen = choose_rows(rows, detail.num_rows, subject.seed)
    columns, lines = np.linspace(*x, detail.size), np.linspace(*y, detail.size)
    grid = np.stack(np.meshgrid(columns, lines), axis=-1).reshape(-1, 2)
    losses = losses_on(weights, np.vstack([grid, [0.0, 0.0]]), subject, chosen)
    if np.isnan(losses[-1]):
        return Unavailable("the loss of the network itself is not finite")
    return Plane(
        x=columns,
        y=lines,
        losses=losses[:-1].reshape(detail.size, detail.size),
        center_loss=float(losses[-1]),
        num_rows=len(chosen),
        num_known_rows=len(rows),
        num_parameters=subject.plan.num_parameters,
        keeps_statistics=any(
            isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
            for module in subject.network.modules()
        ),
    )


def choose_rows(rows: Rows, num_rows: int, seed: int) -> Rows:
    """Draw so many of the rows, in their order: the same ones for every plane of a run."""
    if num_rows >= len(rows):
        return rows
    random = np.random.default_rng(derive_seed(seed, "landscape", "rows"))
    drawn = np.sort(random.choice(len(rows), num_rows, replace=False))
    return rows.take(torch.tensor(drawn, device=rows.device))


def random_directions(network: nn.Module, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return two directions, by parameter: each filter as long as the network's own.

    A filter is what leads to one output: the weights of one unit, of one channel, of one code. What
    has no filters, biases and the numbers of norms, stays: its directions are 0.
    """
    random = np.random.default_rng(derive_seed(seed, "landscape", "directions"))
    norms = {
        id(own)
        for module in network.modules()
        if isinstance(module, nn.LayerNorm)  # of images, its numbers have several dimensions
        for own in module.parameters(recurse=False)
    }

    def draw() -> dict[str, Tensor]:
        return {
            name: torch.zeros_like(own, requires_grad=False)
            if own.ndim < 2 or id(own) in norms
            else _like_filters(own.detach(), random)
            for name, own in network.named_parameters()
        }

    return draw(), draw()


def _like_filters(weight: Tensor, random: np.random.Generator) -> Tensor:
    drawn = torch.tensor(random.standard_normal(weight.shape, dtype=np.float32)).to(weight)
    others = tuple(range(1, weight.ndim))
    own, size = (torch.linalg.vector_norm(x, dim=others, keepdim=True) for x in (weight, drawn))
    scaled: Tensor = drawn * (own / size)
    return scaled
