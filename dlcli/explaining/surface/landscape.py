"""The loss around a trained network, over a plane through its weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.weight_plane import WeightPlane, losses_on
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.ensemble import MEMBERS
from dlcli.network.plan import Plan
from dlcli.seeds import derive_seed
from dlcli.training.rows.batches import Rows

SECONDS = 3.0
MAX_ROWS = 1000

# Points per side, and the fewest rows that justify them.
_STEPS = ((41, 500), (31, 250), (25, 125), (21, 50), (15, 30), (11, 15))

# Operations per second of a CPU core of 2020. Work is counted, not timed, so that a report is
# the same twice, even on a busy machine.
_PRODUCTS = 3e10
_OUTPUTS = 8e8  # of layers
_WEIGHTS = 5e8
_EVALUATIONS = 5e3
_OTHERS = 100  # losses of snapshots, which come on top of the grid's


@dataclass(frozen=True)
class GridDetail:
    """A grid of size × size points, and the rows that each loss is the mean over."""

    size: int  # odd: one point is in the middle
    num_rows: int


def choose_detail(
    plan: Plan, num_rows: int, *, seconds: float = SECONDS
) -> GridDetail | Unavailable:
    """Choose a grid by the work of a network, and at most so many rows.

    The same for every plane of a run, so that the losses are of the same rows.
    """
    row = plan.multiply_adds / _PRODUCTS + plan.num_kept / _OUTPUTS
    evaluation = plan.num_parameters / _WEIGHTS + 1 / _EVALUATIONS
    max_rows = min(num_rows, MAX_ROWS)
    for size, fewest in _STEPS:
        affordable = int((seconds / (size**2 + _OTHERS) - evaluation) / row)
        if affordable >= min(fewest, max_rows):
            return GridDetail(size, min(affordable, max_rows))
    return Unavailable(
        f"computing the loss at {_STEPS[-1][0]} × {_STEPS[-1][0]} points would take far more than "
        f"{seconds:g} seconds"
    )


@dataclass(frozen=True)
class LossGrid:
    """Mean losses over some training rows, in the target's units, on a grid."""

    x: np.ndarray  # [columns]; the network is at (0, 0)
    y: np.ndarray  # [rows]
    losses: np.ndarray  # [rows, columns], NaN where the loss is not finite
    center_loss: float  # at (0, 0)
    num_rows: int  # that each loss is the mean over
    num_known_rows: int  # that they were sampled from
    num_parameters: int
    keeps_statistics: bool  # whether batch norm uses the network's running statistics everywhere


def loss_landscape(
    model: ExplainedModel, rows: Rows, *, reach: float = 1.0, seconds: float = SECONDS
) -> LossGrid | Unavailable:
    """Return losses over two random directions around the network, from -reach to reach.

    Filter-normalised (Li, Xu, Taylor, Studer and Goldstein 2018, arXiv:1712.09913): at a distance
    of 1, every filter has been changed by a vector as long as itself. `rows` are training rows,
    which are sampled where all of them would take more than about so many seconds.
    """
    detail = choose_detail(model.plan, len(rows), seconds=seconds)
    if isinstance(detail, Unavailable):
        return detail
    first, second = random_directions(model.network, model.plan, model.seed)
    num_moved = sum(int(direction.count_nonzero()) for direction in first.values())
    if num_moved < 2:
        return Unavailable(
            f"only {num_moved} of the network's weights are not 0, too few for a plane"
        )
    parameters = {name: weight.detach() for name, weight in model.network.named_parameters()}
    weights = WeightPlane(parameters, first, second, dict(model.network.named_buffers()))
    span = (-reach, reach)
    return compute_grid(weights, model, rows, detail=detail, x=span, y=span)


def compute_grid(
    weights: WeightPlane,
    model: ExplainedModel,
    rows: Rows,
    *,
    detail: GridDetail,
    x: tuple[float, float],
    y: tuple[float, float],
) -> LossGrid | Unavailable:
    """Return losses on a grid from the lowest to the highest x and y."""
    chosen = choose_rows(rows, detail.num_rows, model.seed)
    columns, lines = np.linspace(*x, detail.size), np.linspace(*y, detail.size)
    grid = np.stack(np.meshgrid(columns, lines), axis=-1).reshape(-1, 2)
    losses = losses_on(weights, np.vstack([grid, [0.0, 0.0]]), model, chosen)
    if np.isnan(losses[-1]):
        return Unavailable("the loss of the network is not finite")
    return LossGrid(
        x=columns,
        y=lines,
        losses=losses[:-1].reshape(detail.size, detail.size),
        center_loss=float(losses[-1]),
        num_rows=len(chosen),
        num_known_rows=len(rows),
        num_parameters=model.plan.num_parameters,
        keeps_statistics=any(
            layer.config.traits.row_mixing is not None for _, layer in model.plan.modules()
        ),
    )


def choose_rows(rows: Rows, num_rows: int, seed: int) -> Rows:
    """Sample so many of the rows, in their order: the same ones for every plane of a run."""
    if num_rows >= len(rows):
        return rows
    random = np.random.default_rng(derive_seed(seed, "landscape", "rows"))
    drawn = np.sort(random.choice(len(rows), num_rows, replace=False))
    return rows.take(torch.tensor(drawn, device=rows.device))


def random_directions(
    network: nn.Module, plan: Plan, seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return two directions, by parameter: each filter as long as that of the network.

    A filter is the weights of one output: of one unit, one channel, one code. Biases, the
    parameters of norms and the factors of an ensemble's members have none: their directions are 0.
    """
    random = np.random.default_rng(derive_seed(seed, "landscape", "directions"))
    without_filters = tuple(_without_filters(plan))
    outputs = {
        f"{name}.{key}": axes.outputs
        for name, layer in plan.modules()
        for key, axes in layer.config.tensors(layer).items()
        if axes.outputs is not None
    }

    def draw() -> dict[str, Tensor]:
        return {
            name: torch.zeros_like(weight, requires_grad=False)
            if weight.ndim < 2 or name.startswith(without_filters)
            else _like_filters(weight.detach(), random, outputs.get(name, 0))
            for name, weight in network.named_parameters()
        }

    return draw(), draw()


def _without_filters(plan: Plan) -> Iterator[str]:
    """Yield how the names of parameters begin that are no weights of outputs."""
    yield f"{MEMBERS}."
    for name, layer in plan.modules():
        if not layer.config.traits.has_filters:
            yield f"{name}."
        elif layer.members is not None:
            tensors = layer.config.tensors(layer).items()
            yield from (f"{name}.{key}" for key, axes in tensors if axes.inputs is None)
            yield from (f"{name}.{key}" for key, axes in tensors if axes.outputs is None)


def _like_filters(weight: Tensor, random: np.random.Generator, outputs: int) -> Tensor:
    """Draw a direction whose filters are as long as the weight's, which has them on some axis."""
    drawn = torch.tensor(random.standard_normal(weight.shape, dtype=np.float32)).to(weight)
    others = tuple(range(outputs + 1, weight.ndim))
    length, drawn_length = (
        torch.linalg.vector_norm(x, dim=others, keepdim=True) for x in (weight, drawn)
    )
    scaled: Tensor = drawn * (length / drawn_length)
    return scaled
