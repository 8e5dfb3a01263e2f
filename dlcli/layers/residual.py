"""Residual blocks."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.activations import ActivationName
from dlcli.layers.base import (
    Layer,
    Members,
    PlannedLayer,
    Region,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
)
from dlcli.layers.sequence import build_layers, plan_layers, plan_members, receptive_field_of
from dlcli.layers.windows.sliding import seen_by_windows

if TYPE_CHECKING:
    from torch import nn

    AnyLayer = Layer  # at run time the family's union, which dlcli/layers/family.py fills in


@final
class Residual(Layer):
    """x + layers(x); where the shapes differ, x goes through a linear projection."""

    type: Literal["residual"]
    layers: Annotated[tuple["AnyLayer", ...], Field(strict=False, min_length=1)] = Field(
        description="layers of the block"
    )
    activation: ActivationName | None = Field(
        None, description="activation function applied to the sum"
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,  # its projection's
        row_mixing=None,  # but for what its layers do
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def inner_layers(self) -> tuple[Layer, ...]:
        """The layers of the block."""
        return self.layers

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to the sum."""
        return self.activation

    def plan(self, shape: Shape) -> PlannedLayer:
        """Plan its layers, and a projection where they change the shape."""
        try:
            inner = plan_layers(self.layers, shape)
        except ShapeError as error:
            raise ShapeError(str(error), ("layers", *error.path)) from None
        after = inner[-1].output_shape
        num_weights = 0 if after == shape else shape[0] * after[0]
        num_biases = 0 if after == shape else after[0]
        if num_weights:
            _projection_strides(shape, after)
        return PlannedLayer(
            self,
            shape,
            after,
            num_parameters=sum(layer.num_parameters for layer in inner) + num_weights + num_biases,
            multiply_adds=sum(layer.multiply_adds for layer in inner)
            + num_weights * math.prod(after[1:]),
            num_kept=sum(layer.num_kept for layer in inner) + math.prod(after),
            inner=inner,
        )

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Plan its layers for the members, which share no projection unless they share all."""
        try:
            inner = plan_members(planned.inner, replace(members, is_input_scaled=False))
        except ShapeError as error:
            raise ShapeError(str(error), ("layers", *error.path)) from None
        if planned.num_direct_parameters and members.separate != "nothing":
            raise ShapeError(
                "the projection of a residual block can't be each member's own; give the last of "
                f"its layers {planned.input_shape[0]} outputs, as many as the block has inputs"
            )
        kept_inside = sum(layer.num_kept for layer in planned.inner)
        return replace(
            planned,
            num_parameters=planned.num_direct_parameters
            + sum(layer.num_parameters for layer in inner),
            multiply_adds=planned.multiply_adds * members.number,
            num_kept=(planned.num_kept - kept_inside) * members.number
            + sum(layer.num_kept for layer in inner),
            inner=inner,
            members=members,
        )

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return what its layers and the connection around them see together."""
        inside = receptive_field_of(planned.inner, region)
        if inside is None:
            return None
        before, after = planned.input_shape, planned.output_shape
        ones = (1,) * len(region)
        strides = ones if before == after else _projection_strides(before, after)
        around = seen_by_windows(region, ones, strides, (0,) * len(region))
        starts = [min(a[0], b[0]) for a, b in zip(inside, around, strict=True)]
        ends = [max(sum(a), sum(b)) for a, b in zip(inside, around, strict=True)]
        return tuple((start, end - start) for start, end in zip(starts, ends, strict=True))

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return those of the projection, where it has one."""
        before, after = planned.input_shape, planned.output_shape
        if before == after:
            return {}
        weight = (after[0], before[0], *(1 for _ in after[1:]))
        return {
            "projection.weight": TensorAxes(weight, inputs=1, outputs=0),
            "projection.bias": TensorAxes(after[:1], outputs=0),
        }

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build its layers, then the projection."""
        from torch import nn

        from dlcli.layers.modules import SkipConnection

        body = nn.Sequential(build_layers(planned.inner))
        return SkipConnection(body, _projection(planned.input_shape, planned.output_shape))


def _projection(before: Shape, after: Shape) -> "nn.Module":
    from torch import nn

    if before == after:
        return nn.Identity()
    if len(before) == 1:
        return nn.Linear(before[0], after[0])
    strides = _projection_strides(before, after)
    if len(before) == 2:
        return nn.Conv1d(before[0], after[0], 1, stride=strides[0])
    return nn.Conv2d(before[0], after[0], 1, stride=(strides[0], strides[1]))


def _projection_strides(before: Shape, after: Shape) -> tuple[int, ...]:
    """Return the strides with which a 1×1 convolution takes one shape to the other."""
    strides = tuple(math.ceil(old / new) for old, new in zip(before[1:], after[1:], strict=False))
    reached = [(old - 1) // stride + 1 for old, stride in zip(before[1:], strides, strict=False)]
    if len(before) != len(after) or reached != list(after[1:]):
        raise ShapeError(
            f"no projection takes its input {list(before)} to its layers' output {list(after)}"
        )
    return strides
