"""Dropout."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import Layer, PlannedLayer, Setting, Traits
from dlcli.layers.shapes import Shape

if TYPE_CHECKING:
    from torch import nn


@final
class Dropout(Layer):
    """Sets activations to zero at random while training, and scales the others up."""

    type: Literal["dropout"]
    rate: float = Field(0.5, ge=0, lt=1, description="share of the activations set to zero")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=True,
        has_filters=False,
        row_mixing=None,
        stacking_obstacle=None,  # a stack gives each run its mask
        recording_obstacle=None,
    )

    @property
    def dropped_share(self) -> Setting[float]:
        """The share of numbers that are set to zero in training."""
        return Setting("rate", self.rate)

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self, shape, shape, num_parameters=0, multiply_adds=0, num_kept=math.prod(shape)
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build a mask that is drawn anew for each batch."""
        from dlcli.layers.modules import RandomMask

        return RandomMask(self.rate)
