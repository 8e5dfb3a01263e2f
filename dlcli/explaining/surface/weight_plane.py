"""A plane through the weights of a network, and the losses on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.on_threads import compute_each
from dlcli.network.obstacles import stacking_obstacle
from dlcli.training.engines.threads import using_threads
from dlcli.training.rows.batches import Rows, Tensors, as_shares

Weights = Mapping[str, Tensor]  # by the name of the parameter

_NUMBERS_AT_ONCE = 2**21  # weights and layer outputs that fit the CPU cache; more is slower


@dataclass(frozen=True)
class WeightPlane:
    """The plane weights + x · first + y · second, for every parameter, on the network's device."""

    weights: Weights
    first: Weights
    second: Weights
    buffers: Weights  # batch norm's running statistics, the same everywhere

    def at(self, points: Tensor) -> dict[str, Tensor]:
        """Return every parameter at points [points, 2], as [points, ...]."""
        found = {}
        for name, weight in self.weights.items():
            x, y = points.view(len(points), 2, *[1] * weight.ndim).unbind(1)
            found[name] = weight + x * self.first[name] + y * self.second[name]
        return found


def losses_on(
    plane: WeightPlane, points: np.ndarray, model: ExplainedModel, rows: Rows
) -> np.ndarray:
    """Return the mean loss over the rows at points [points, 2], in the target's units.

    float64 [points], NaN where it is not finite. The network is not changed.
    """
    device = model.placement.device
    moved = torch.tensor(points, dtype=torch.float32, device=device)

    def compute(model: ExplainedModel, chunk: Tensor) -> Tensor:
        with torch.inference_mode(), model.placement.autocast():
            return _losses(plane.at(chunk), plane.buffers, model, rows)

    # Threads share such small products worse than they share points.
    found = compute_each(model, compute, torch.split(moved, _num_at_once(model, len(rows))))
    return _to_target_units(torch.cat(found), model)


def loss_of(weights: Weights, model: ExplainedModel, rows: Rows) -> float:
    """Return the mean loss of a network with these weights, and with its buffers if they hold any.

    In the target's units; NaN where it is not finite.
    """
    device, network = model.placement.device, model.network
    parameters = {name: weights[name].to(device)[None] for name, _ in network.named_parameters()}
    buffers = buffers_of(weights, model)
    with torch.inference_mode(), model.placement.autocast(), using_threads(1):
        return float(_to_target_units(_losses(parameters, buffers, model, rows), model)[0])


def buffers_of(weights: Weights, model: ExplainedModel) -> Weights:
    """Return the buffers among the weights, the network's where there are none."""
    device = model.placement.device
    buffers = dict(model.network.named_buffers())
    return {name: weights.get(name, buffer).to(device) for name, buffer in buffers.items()}


def _losses(
    parameters: dict[str, Tensor], buffers: Weights, model: ExplainedModel, rows: Rows
) -> Tensor:
    """Return the loss of each of several weights, float64 [weights], in the network's units."""
    outputs = _outputs(parameters, dict(buffers), model, rows.inputs).float()
    targets = model.targets(rows)
    repeated = targets.expand(len(outputs), *targets.shape).flatten(0, 1)
    each = model.objective.each(outputs.flatten(0, 1), repeated)
    losses = each.view(len(outputs), len(rows)).double()
    [shared] = as_shares((rows,))
    return losses.mean(1) if shared.weights is None else (losses * shared.weights).sum(1)


def _outputs(
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    model: ExplainedModel,
    inputs: Tensors,
) -> Tensor:
    """Return [weights, rows, num_outputs], for all weights at once where vmap supports it."""
    network = model.network.eval()

    def forward(weights: dict[str, Tensor]) -> Tensor:
        return functional_call(network, (weights, buffers), (inputs,))  # type: ignore[no-any-return]

    num_weights = len(next(iter(parameters.values())))
    if num_weights > 1 and stacking_obstacle(model.plan) is None:
        return vmap(forward)(parameters)
    singles = [
        {name: stack[index] for name, stack in parameters.items()} for index in range(num_weights)
    ]
    return torch.stack([forward(weights) for weights in singles])


def _num_at_once(model: ExplainedModel, num_rows: int) -> int:
    plan = model.plan
    return max(1, _NUMBERS_AT_ONCE // (num_rows * plan.num_kept + plan.num_parameters + 1))


def _to_target_units(losses: Tensor, model: ExplainedModel) -> np.ndarray:
    scaled: np.ndarray = losses.cpu().numpy() * model.loss_unit
    return np.where(np.isfinite(scaled), scaled, np.nan)
