"""Activation functions and their derivatives, as numbers."""

from dataclasses import dataclass

import numpy as np
import torch

from dlcli.layers.activations import ACTIVATIONS, ActivationName

_MAX_INPUT = 5.0  # on either side of 0
_NUM_POINTS = 501


@dataclass(frozen=True)
class ActivationCurve:
    """A function and its derivative at some inputs."""

    name: ActivationName
    inputs: np.ndarray  # [points]
    values: np.ndarray  # [points]
    slopes: np.ndarray  # its derivative, [points]


def activation_curves() -> list[ActivationCurve]:
    """Return each activation function; softmax is that of one logit next to a logit of 0."""
    return [_curve(name) for name in ACTIVATIONS]


def _curve(name: ActivationName) -> ActivationCurve:
    inputs = torch.linspace(
        -_MAX_INPUT, _MAX_INPUT, _NUM_POINTS, dtype=torch.float64, requires_grad=True
    )
    # Two features per row, for softmax; elementwise functions ignore the second one.
    rows = torch.stack([inputs, torch.zeros_like(inputs)], dim=1)
    values = ACTIVATIONS[name].build()(rows)[:, 0]
    [slopes] = torch.autograd.grad(values.sum(), inputs)
    return ActivationCurve(
        name, inputs.detach().numpy(), values.detach().numpy(), slopes.detach().numpy()
    )
