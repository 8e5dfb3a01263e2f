"""What a planned network costs: operations and memory, by arithmetic alone."""

import math

from dlcli.config.layers import Conv1d, Conv2d, Dense, Flatten, Reshape, Residual
from dlcli.network.plan import Plan, PlannedLayer
from dlcli.network.shapes import weight_shape
from dlcli.optimizers.base import OptimizerConfig

FLOAT_BYTES = 4  # float32


def multiply_adds(layer: PlannedLayer) -> int:
    """Return a layer's multiplications by weights, each with its addition, for one row.

    Those of dense and convolutional layers, where nearly all the work is; a lookup, a pool, a norm
    or an activation counts nothing.
    """
    match layer.config:
        case Dense() | Conv1d() | Conv2d():
            places = math.prod(layer.output_shape[1:])
            return places * math.prod(weight_shape(layer.config, layer.input_shape))
        case Residual():
            body = sum(map(multiply_adds, layer.inner))
            if layer.input_shape == layer.output_shape:
                return body
            return body + math.prod(layer.output_shape) * layer.input_shape[0]
        case _:
            return 0


def activation_bytes(layer: PlannedLayer, batch_size: int) -> int:
    """Return the memory of what a layer gives for a batch, in bytes, kept for the backward pass.

    A layer that only gives its input another shape needs none.
    """
    if isinstance(layer.config, Flatten | Reshape):
        return 0
    inside = sum(activation_bytes(inner, batch_size) for inner in layer.inner)
    return inside + math.prod(layer.output_shape) * batch_size * FLOAT_BYTES


def training_bytes(plan: Plan, optimizer: OptimizerConfig) -> int:
    """Return the memory of weights, gradients and the optimizer's state, in bytes."""
    return plan.num_parameters * (2 + optimizer.numbers_per_parameter) * FLOAT_BYTES
