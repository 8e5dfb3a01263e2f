"""A plane through the weights of a network, and the losses on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.network.costs import FLOAT_BYTES, activation_bytes
from dlcli.training.engines.threads import Threads
from dlcli.training.rows.batches import Rows, Tensors

Weights = Mapping[str, Tensor]  # by the name of the parameter

_NUMBERS_AT_ONCE = 2**21  # weights and outputs of layers: what caches hold, and faster than more
_ALONE = Threads(1, "such small products keep threads waiting for each other")


@dataclass(frozen=True)
class WeightPlane:
    """weights + x · first + y · second, on the network's device, for every parameter."""

    weights: Weights
    first: Weights
    second: Weights
    buffers: Weights  # the same everywhere: batch norm's running statistics

    def at(self, points: Tensor) -> dict[str, Tensor]:
        """Return the parameters at points [points, 2], of each [points, ...]."""
        found = {}
        for name, weight in self.weights.items():
            x, y = points.view(len(points), 2, *[1] * weight.ndim).unbind(1)
            found[name] = weight + x * self.first[name] + y * self.second[name]
        return found


def losses_on(
    plane: WeightPlane, points: np.ndarray, subject: ExplainedModel, rows: Rows
) -> np.ndarray:
    """Return the mean loss over the rows at points [points, 2], in the target's own units.

    float64 [points], NaN where it is not finite. The network stays as it is.
    """
    device = subject.placement.device
    moved = torch.tensor(points, dtype=torch.float32, device=device)
    chunks = torch.split(moved, _num_at_once(subject, len(rows)))
    with torch.inference_mode(), subject.placement.autocast(), _ALONE.used():
        found = [_losses(plane.at(chunk), plane.buffers, subject, rows) for chunk in chunks]
    return _in_own_units(torch.cat(found), subject)


def loss_of(weights: Weights, subject: ExplainedModel, rows: Rows) -> float:
    """Return the mean loss of a network with these weights, and with its buffers if they hold any.

    In the target's own units; NaN where it is not finite.
    """
    device, network = subject.placement.device, subject.network
    parameters = {name: weights[name].to(device)[None] for name, _ in network.named_parameters()}
    buffers = buffers_of(weights, subject)
    with torch.inference_mode(), subject.placement.autocast(), _ALONE.used():
        return float(_in_own_units(_losses(parameters, buffers, subject, rows), subject)[0])


def buffers_of(weights: Weights, subject: ExplainedModel) -> Weights:
    """Return the buffers that weights come with, the network's own where they have none."""
    device = subject.placement.device
    own = dict(subject.network.named_buffers())
    return {name: weights.get(name, buffer).to(device) for name, buffer in own.items()}


def _losses(
    parameters: dict[str, Tensor], buffers: Weights, subject: ExplainedModel, rows: Rows
) -> Tensor:
    """Return the loss of each of several weights, float64 [weights], in the network's units."""
    outputs = _outputs(parameters, dict(buffers), subject, rows.inputs).float()
    each = subject.objective.each(outputs.flatten(0, 1), subject.targets(rows).repeat(len(outputs)))
    return each.view(len(outputs), len(rows)).double().mean(1)


def _outputs(
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    subject: ExplainedModel,
    inputs: Tensors,
) -> Tensor:
    """Return [weights, rows, num_outputs], of all weights at once where torch can do that."""
    network = subject.network.eval()

    def forward(own: dict[str, Tensor]) -> Tensor:
        return functional_call(network, (own, buffers), (inputs,))  # type: ignore[no-any-return]

    num_weights = len(next(iter(parameters.values())))
    if num_weights > 1:
        try:
            return vmap(forward)(parameters)
        except RuntimeError:
            pass  # an operation that has no rule for several at once
    singles = [
        {name: own[index] for name, own in parameters.items()} for index in range(num_weights)
    ]
    return torch.stack([forward(own) for own in singles])


def _num_at_once(subject: ExplainedModel, num_rows: int) -> int:
    plan = subject.plan
    outputs = sum(activation_bytes(layer, num_rows) for layer in plan.layers) // FLOAT_BYTES
    return max(1, _NUMBERS_AT_ONCE // (outputs + plan.num_parameters + 1))


def _in_own_units(losses: Tensor, subject: ExplainedModel) -> np.ndarray:
    own: np.ndarray = losses.cpu().numpy() * subject.loss_unit
    return np.where(np.isfinite(own), own, np.nan)
