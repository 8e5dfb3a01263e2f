"""Squeeze-and-excitation: each channel times a factor that depends on all of them."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.layers.activations import ACTIVATIONS, ActivationName
from dlcli.layers.base import AXES, Layer, PlannedLayer, Shape, ShapeError, TensorAxes, Traits
from dlcli.section import Section, Size

if TYPE_CHECKING:
    from torch import nn

_REDUCTION = 16  # the paper's


class Squeezing(Section):
    """The settings of squeeze-and-excitation."""

    reduction: Size | None = Field(
        None, description="input channels for each squeezed one; default: 16"
    )
    channels: Size | None = Field(None, description="squeezed channels, in place of `reduction`")
    activation: ActivationName = Field("relu", description="activation function between the two")
    gate: Literal["sigmoid", "hardsigmoid"] = Field(
        "sigmoid", description="function that the factors come from"
    )

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.reduction is not None and self.channels is not None:
            raise ValueError("`reduction` has no effect where `channels` is given")
        return self

    def num_squeezed(self, num_channels: int) -> int:
        """Return how many squeezed channels there are."""
        return self.channels or max(1, num_channels // (self.reduction or _REDUCTION))


@final
class SqueezeExcitation(Squeezing, Layer):
    """Each channel times a factor computed of all channels' means (Hu et al., arXiv:1709.01507)."""

    type: Literal["squeeze_excitation"]

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        at_end="refuses",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take channels with at least one axis more, and give them back."""
        if len(shape) < 2:
            raise ShapeError(f"expects {AXES[2]} or {AXES[3]}, got {list(shape)}")
        num_weights = 2 * shape[0] * self.num_squeezed(shape[0])
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=num_weights + self.num_squeezed(shape[0]) + shape[0],
            multiply_adds=num_weights,
            num_kept=math.prod(shape) + 2 * (shape[0] + self.num_squeezed(shape[0])),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return the weights and biases of its two dense layers."""
        num_channels = planned.input_shape[0]
        num_squeezed = self.num_squeezed(num_channels)
        return {
            "squeeze.weight": TensorAxes((num_squeezed, num_channels), inputs=1),
            "squeeze.bias": TensorAxes((num_squeezed,)),
            "excite.weight": TensorAxes((num_channels, num_squeezed), outputs=0),
            "excite.bias": TensorAxes((num_channels,), outputs=0),
        }

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build two dense layers on the means of the channels."""
        from dlcli.layers.blocks.modules import ChannelGate

        num_channels = planned.input_shape[0]
        return ChannelGate(
            num_channels,
            self.num_squeezed(num_channels),
            ACTIVATIONS[self.activation].build(),
            ACTIVATIONS[self.gate].build(),
        )
