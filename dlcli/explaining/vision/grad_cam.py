"""Grad-CAM: where the channels of a layer speak for a prediction."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import LayerPosition, hooked
from dlcli.explaining.vision.first_layer import score
from dlcli.layers.base import PlannedLayer
from dlcli.layers.sequence import receptive_field_of
from dlcli.training.rows.batches import Tensors


def grad_cam(
    model: ExplainedModel,
    layers: Sequence[PlannedLayer],
    position: LayerPosition,
    inputs: Tensors,
    classes: Tensor | None,
) -> np.ndarray:
    """Return a map of each image, float64 [rows, height, width] from 0 upwards.

    Selvaraju et al. (2017), "Grad-CAM", arXiv:1610.02391: the channels of the last layer, each
    times the mean gradient of the score by it, summed; what speaks against the score is cut off.
    The score of a class is its log-odds, as the class's output alone says little where a softmax
    compares it with others.
    """
    caught: list[Tensor] = []

    def see(output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    network = model.network.eval()
    with hooked(network, position.module, see), torch.enable_grad(), model.placement.autocast():
        scores = score(network(inputs).float(), classes)
    (gradient,) = torch.autograd.grad(scores.sum(), caught[0])
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    maps = (weights * caught[0].detach().float()).sum(dim=1).clamp(min=0)
    return _on_pixels(layers, maps.double().cpu().numpy())


def _on_pixels(layers: Sequence[PlannedLayer], maps: np.ndarray) -> np.ndarray:
    """Interpolate maps [rows, …] between the pixels that their positions look at."""
    sizes = layers[0].input_shape[1:]
    first = receptive_field_of(layers, ((0, 1), (0, 1)))
    second = receptive_field_of(layers, ((1, 1), (1, 1)))
    for axis, size in enumerate(sizes):
        count = maps.shape[axis + 1]
        if first is None or second is None:  # spread evenly
            middles = (np.arange(count) + 0.5) * size / count - 0.5
        else:
            start, length = first[axis]
            middles = start + (length - 1) / 2 + np.arange(count) * (second[axis][0] - start)
        maps = _interpolated(maps, axis + 1, middles, size)
    return maps


def _interpolated(values: np.ndarray, axis: int, middles: np.ndarray, size: int) -> np.ndarray:
    """Return values at the pixels 0 to size - 1 along an axis, linear between their middles."""
    pixels = np.arange(size)
    weights = np.stack([np.interp(pixels, middles, row) for row in np.eye(len(middles))])
    return np.moveaxis(np.moveaxis(values, axis, -1) @ weights, -1, axis)
