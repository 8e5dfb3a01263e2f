"""A config's layers and the data's signature → every shape and size, before torch is needed."""

import math
from dataclasses import dataclass
from typing import assert_never

from dlcli.config.layers import (
    ActivationLayer,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    Reshape,
    Residual,
    shape_of,
)
from dlcli.data.signature import Signature
from dlcli.network.shapes import Shape, ShapeError, output_shape, projection_stride, weight_shape


@dataclass(frozen=True)
class PlannedLayer:
    """A layer with nothing left open: its units known, its shapes without the batch."""

    config: Layer
    input_shape: Shape
    output_shape: Shape
    num_parameters: int
    inner: tuple["PlannedLayer", ...] = ()  # of a residual


@dataclass(frozen=True)
class Plan:
    """A network that fits the data."""

    signature: Signature
    layers: tuple[PlannedLayer, ...]

    @property
    def num_embedding_parameters(self) -> int:
        """Numbers in the tables of the embedded columns."""
        return sum(table.num_codes * table.dim for table in self.signature.embeddings)

    @property
    def num_parameters(self) -> int:
        """All that is learned."""
        layers = sum(layer.num_parameters for layer in self.layers)
        return layers + self.num_embedding_parameters


def plan_network(layers: tuple[Layer, ...], signature: Signature, *, num_outputs: int) -> Plan:
    """Track shapes from the data to the target.

    Raises ShapeError, with the path inside of `layers`, where something doesn't fit.
    """
    last = _last_dense(layers)
    filled = tuple(
        layer.model_copy(update={"units": num_outputs})
        if isinstance(layer, Dense) and index == last and layer.units is None
        else layer
        for index, layer in enumerate(layers)
    )
    planned = _plan(filled, signature.input_shape)
    final = planned[-1].output_shape
    if final != (num_outputs,):
        raise ShapeError(
            f"the network gives {list(final)} and the target wants {[num_outputs]}; end with "
            "{type: dense}, which takes its units from the target",
            (len(layers) - 1,),
        )
    return Plan(signature, planned)


def title_of(layer: PlannedLayer, number: str) -> str:
    """Write a layer's place in the config, its type and its activation: `0 dense relu`."""
    activation = getattr(layer.config, "activation", None)
    return f"{number} {layer.config.type}" + (f" {activation}" if activation else "")


def shape_text(shape: Shape) -> str:
    """Write a shape: 64 × 8 × 8."""
    return " × ".join(map(str, shape))


def _last_dense(layers: tuple[Layer, ...]) -> int | None:
    indices = [index for index, layer in enumerate(layers) if isinstance(layer, Dense)]
    return indices[-1] if indices else None


def _plan(layers: tuple[Layer, ...], shape: Shape) -> tuple[PlannedLayer, ...]:
    planned = []
    for index, layer in enumerate(layers):
        try:
            planned.append(_plan_layer(layer, shape))
        except ShapeError as error:
            raise ShapeError(str(error), (index, *error.path)) from None
        shape = planned[-1].output_shape
    return tuple(planned)


def _plan_layer(layer: Layer, shape: Shape) -> PlannedLayer:
    if isinstance(layer, Dense) and layer.units is None:
        raise ShapeError("`units` is missing; only the last dense layer takes it from the target")
    inner: tuple[PlannedLayer, ...] = ()
    if isinstance(layer, Residual):
        try:
            inner = _plan(layer.layers, shape)
        except ShapeError as error:
            raise ShapeError(str(error), ("layers", *error.path)) from None
        after = inner[-1].output_shape
    else:
        after = output_shape(layer, shape)
    if isinstance(layer, Dense | Conv1d | Conv2d):
        _check_initial(layer, shape)
    return PlannedLayer(layer, shape, after, _num_parameters(layer, shape, after, inner), inner)


def _check_initial(layer: Dense | Conv1d | Conv2d, shape: Shape) -> None:
    if layer.initial is None:
        return
    wanted = weight_shape(layer, shape)
    for name, numbers, want in (
        ("weight", layer.initial.weight, wanted),
        ("bias", layer.initial.bias, wanted[:1]),
    ):
        if numbers is not None and shape_of(numbers) != want:
            raise ShapeError(
                f"has the shape {list(shape_of(numbers))} and the layer wants {list(want)}",
                ("initial", name),
            )


def _num_parameters(
    layer: Layer, before: Shape, after: Shape, inner: tuple[PlannedLayer, ...]
) -> int:
    match layer:
        case Dense() | Conv1d() | Conv2d():
            return math.prod(weight_shape(layer, before)) + (after[0] if layer.bias else 0)
        case BatchNorm():
            return 2 * after[0]
        case LayerNorm():
            return 2 * math.prod(after)
        case Residual():
            body = sum(planned.num_parameters for planned in inner)
            if before == after:
                return body
            if len(before) != len(after) or projection_stride(before, after) is None:
                raise ShapeError(
                    f"no projection takes its input {list(before)} to its layers' {list(after)}"
                )
            return body + after[0] * (before[0] + 1)
        case (
            ActivationLayer()
            | Dropout()
            | Flatten()
            | Reshape()
            | MaxPool1d()
            | MaxPool2d()
            | AvgPool1d()
            | AvgPool2d()
            | GlobalAvgPool()
        ):
            return 0
        case _:
            assert_never(layer)
