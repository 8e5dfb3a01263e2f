"""Residual blocks, written out or by name."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

from pydantic import Field, TypeAdapter, model_validator

from dlcli.layers.activations import ActivationName
from dlcli.layers.base import (
    Layer,
    Members,
    PlannedLayer,
    Region,
    Setting,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
)
from dlcli.layers.blocks.kinds import ACTIVATIONS_INSIDE, BlockLayers, BlockName, block_layers
from dlcli.layers.blocks.squeezing import Squeezing
from dlcli.layers.sequence import build_layers, plan_layers, plan_members, receptive_field_of
from dlcli.layers.windows.sliding import seen_by_windows
from dlcli.schedules.scheduled_number import FractionOrSchedule, highest
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

    AnyLayer = Layer  # at run time the family's union, which dlcli/layers/family.py fills in


class _Block(Layer):
    """A branch of layers, whose output is added to what goes around them."""

    stochastic_depth: FractionOrSchedule = Field(
        0.0,
        description="share of the rows that skip `layers` in training, or how it changes over the "
        "steps; others are scaled up (Huang et al. 2016, arXiv:1603.09382)",
    )

    @property
    def dropped_share(self) -> Setting[float] | None:
        """The share of rows whose branch is left out, where any is."""
        if self.stochastic_depth == 0:
            return None
        return Setting("stochastic_depth", highest(self.stochastic_depth))

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Plan its layers for the members, which share no projection unless they share all."""
        inside = replace(members, is_input_scaled=False)
        branches = []
        for key, layers in planned.branches:
            try:
                branches.append((key, plan_members(layers, inside)))
            except ShapeError as error:
                raise ShapeError(str(error), self._path(key, error)) from None
        if planned.num_direct_parameters and members.separate != "nothing":
            raise ShapeError(
                "the projection of a residual block can't be each member's own; give the last of "
                f"its layers {planned.input_shape[0]} outputs, as many as the block has inputs"
            )
        found = replace(planned, branches=tuple(branches), members=members)
        kept_inside = sum(layer.num_kept for layer in planned.inner)
        return replace(
            found,
            num_parameters=planned.num_direct_parameters
            + sum(layer.num_parameters for layer in found.inner),
            multiply_adds=planned.multiply_adds * members.number,
            num_kept=(planned.num_kept - kept_inside) * members.number
            + sum(layer.num_kept for layer in found.inner),
        )

    def _plan_branches(
        self, shape: Shape, branches: Mapping[str, Sequence[Layer]], *, has_sum: bool = True
    ) -> PlannedLayer:
        """Plan the branches, of which a shortcut gives the shape that the layers give."""
        planned = []
        for key, layers in branches.items():
            try:
                planned.append((key, plan_layers(layers, shape)))
            except ShapeError as error:
                raise ShapeError(str(error), self._path(key, error)) from None
        (_, first), *others = planned
        after = first[-1].output_shape
        for key, beside in others:
            if beside[-1].output_shape != after:
                raise ShapeError(
                    f"gives the shape {list(beside[-1].output_shape)}, and `layers` give "
                    f"{list(after)}",
                    (key,),
                )
        inner = [layer for _, branch in planned for layer in branch]
        return PlannedLayer(
            self,
            shape,
            after,
            num_parameters=sum(layer.num_parameters for layer in inner),
            multiply_adds=sum(layer.multiply_adds for layer in inner),
            num_kept=sum(layer.num_kept for layer in inner) + has_sum * math.prod(after),
            branches=tuple(planned),
        )

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return what its layers and the connection around them see together."""
        seen = [receptive_field_of(layers, region) for _, layers in planned.branches]
        fields = [field for field in (*seen, self._seen_around(planned, region)) if field]
        if None in seen or not fields:
            return None
        starts = [min(start for start, _ in each) for each in zip(*fields, strict=True)]
        ends = [max(map(sum, each)) for each in zip(*fields, strict=True)]
        return tuple((start, end - start) for start, end in zip(starts, ends, strict=True))

    def _seen_around(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return what is seen by what goes around the layers; None: a branch, or nothing, does."""
        return region if planned.input_shape == planned.output_shape else None

    def _path(self, key: str, error: ShapeError) -> tuple[str | int, ...]:
        """Return the path to a layer of a branch, where the config writes it."""
        return (key, *error.path) if self.branches else ()

    def _build(self, planned: PlannedLayer, projection: "nn.Module | None") -> "nn.Module":
        from dlcli.layers.blocks.modules import RowMask, SkipConnection
        from dlcli.layers.ragged import LayerSequence

        built = {key: LayerSequence(build_layers(layers)) for key, layers in planned.branches}
        drop = RowMask(self.stochastic_depth) if self.dropped_share is not None else None
        return SkipConnection(**built, projection=projection, drop=drop)


@final
class Residual(_Block):
    """x + layers(x); where the shapes differ, x goes through `shortcut` or a linear projection."""

    type: Literal["residual"]
    layers: Annotated[tuple["AnyLayer", ...], Field(strict=False, min_length=1)] = Field(
        description="layers of the block"
    )
    shortcut: Annotated[tuple["AnyLayer", ...], Field(strict=False, min_length=1)] | None = Field(
        None,
        description="layers that x goes through before the sum, as a 1×1 convolution and a norm; "
        "default: none, or a linear projection with a bias where the shapes differ",
    )
    activation: ActivationName | None = Field(
        None, description="activation function applied to the sum"
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,  # its projection's
        row_mixing=None,  # but for what its layers do
        at_end="masks",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def branches(self) -> dict[str, tuple[Layer, ...]]:
        """The layers of the block, and those beside them."""
        beside = {} if self.shortcut is None else {"shortcut": self.shortcut}
        return {"layers": self.layers, **beside}

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to the sum."""
        return self.activation

    def plan(self, shape: Shape) -> PlannedLayer:
        """Plan its layers, and a projection where they change the shape."""
        planned = self._plan_branches(shape, self.branches)
        after = planned.output_shape
        if after == shape or self.shortcut is not None:
            return planned
        _projection_strides(shape, after)
        num_weights = shape[0] * after[0]
        return replace(
            planned,
            num_parameters=planned.num_parameters + num_weights + after[0],
            multiply_adds=planned.multiply_adds + num_weights * math.prod(after[1:]),
        )

    def _seen_around(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return what the projection sees."""
        if not self.tensors(planned):
            return super()._seen_around(planned, region)
        strides = _projection_strides(planned.input_shape, planned.output_shape)
        return seen_by_windows(region, (1,) * len(region), strides, (0,) * len(region))

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return those of the projection, where it has one."""
        before, after = planned.input_shape, planned.output_shape
        if before == after or self.shortcut is not None:
            return {}
        weight = (after[0], before[0], *(1 for _ in after[1:]))
        return {
            "projection.weight": TensorAxes(weight, inputs=1, outputs=0),
            "projection.bias": TensorAxes(after[:1], outputs=0),
        }

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build its layers, then the shortcut or the projection."""
        return self._build(planned, _projection(planned) if self.tensors(planned) else None)


@final
class ResidualBlock(_Block):
    """A residual block by name, of ResNets, MobileNets or ConvNeXt; see the guide to networks."""

    type: Literal["residual_block"]
    block: BlockName = Field(
        description="`basic` and `bottleneck`: ResNet's (He et al. 2015, arXiv:1512.03385); "
        "`inverted`: MobileNet's (Sandler et al. 2018, arXiv:1801.04381), whose input is added "
        "where the shape stays; `convnext`: ConvNeXt's (Liu et al. 2022, arXiv:2201.03545)"
    )
    channels: Size | None = Field(
        None, description="channels of its output; default: as many as its input has"
    )
    stride: Size = Field(1, description="step of its convolution over positions; convnext: 1")
    kernel_size: Size | None = Field(
        None, description="size of its filters over positions, odd; default: 3, convnext: 7"
    )
    hidden_channels: Size | None = Field(
        None,
        description="channels inside; default: a quarter of `channels` for bottleneck, 6 times "
        "the input's for inverted, 4 times for convnext",
    )
    activation: ActivationName | None = Field(
        None, description="activation function; default: relu, inverted: relu6, convnext: gelu"
    )
    squeeze_excitation: Squeezing | None = Field(
        None,
        description="squeeze-and-excitation: at the end of the layers, inverted: before their last "
        "convolution; default: none",
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=False,  # but for those of its layers
        row_mixing=None,  # but for what its layers do
        at_end="masks",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.block == "basic" and self.hidden_channels is not None:
            raise ValueError("`hidden_channels` has no effect with `block: basic`")
        if self.block == "convnext" and self.stride != 1:
            raise ValueError(
                "`block: convnext` has no stride; put {type: layer_norm, over: channels} and "
                "{type: conv2d, kernel_size: 2, stride: 2} with `out_channels` before it"
            )
        if self.kernel_size is not None and self.kernel_size % 2 == 0:
            raise ValueError("`kernel_size` must be odd: a filter has its middle at each position")
        return self

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to the sum: ResNet's blocks have one."""
        return self._activation if self.block in ("basic", "bottleneck") else None

    def plan(self, shape: Shape) -> PlannedLayer:
        """Plan the layers that its settings stand for."""
        layers = self._layers(shape)
        branches = {
            key: [*map(_reader().validate_python, each)] for key, each in layers.branches.items()
        }
        return self._plan_branches(shape, branches, has_sum=layers.has_sum)

    def idle_settings(self, planned: PlannedLayer) -> dict[str, str]:
        """Return what has no effect where its input isn't added."""
        if self.dropped_share is None or self._layers(planned.input_shape).has_sum:
            return {}
        return {
            "stochastic_depth": "this block doesn't add its input, and without its layers nothing "
            "would be left"
        }

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build its layers."""
        if self._layers(planned.input_shape).has_sum:
            return self._build(planned, None)
        from dlcli.layers.ragged import LayerSequence

        [(key, layers)] = planned.branches
        return LayerSequence(OrderedDict([(key, LayerSequence(build_layers(layers)))]))

    @property
    def _activation(self) -> ActivationName:
        return self.activation or ACTIVATIONS_INSIDE[self.block]

    def _layers(self, shape: Shape) -> BlockLayers:
        """Return the layers for an input shape; ShapeError where there are none."""
        squeezing = self.squeeze_excitation
        return block_layers(
            self.block,
            shape,
            channels=self.channels,
            stride=self.stride,
            kernel_size=self.kernel_size,
            hidden_channels=self.hidden_channels,
            activation=self._activation,
            squeezing=None if squeezing is None else squeezing.model_dump(),
        )


@cache
def _reader() -> TypeAdapter[Layer]:
    return TypeAdapter(AnyLayer)


def _projection(planned: PlannedLayer) -> "nn.Module":
    from torch import nn

    before, after = planned.input_shape, planned.output_shape
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
