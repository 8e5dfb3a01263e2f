"""Activation functions as layers of their own."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.activations import ACTIVATIONS, ActivationName
from dlcli.layers.base import Layer, PlannedLayer, Traits
from dlcli.layers.shapes import Shape

if TYPE_CHECKING:
    from torch import nn


@final
class ActivationLayer(Layer):
    """Activation function as a layer of its own."""

    type: Literal["activation"]
    activation: ActivationName = Field(description="activation function")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def applied_activation(self) -> ActivationName:
        """The activation function that its output comes from."""
        return self.activation

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self, shape, shape, num_parameters=0, multiply_adds=0, num_kept=math.prod(shape)
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build the function's module."""
        return ACTIVATIONS[self.activation].build()
