"""Normalisation: batch norm and layer norm."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import Layer, Members, PlannedLayer, RowMixing, Shape, TensorAxes, Traits
from dlcli.section import PositiveFloat

if TYPE_CHECKING:
    from torch import nn


@final
class BatchNorm(Layer):
    """Normalises each feature or channel over the batch, then applies a learned scale and shift."""

    type: Literal["batch_norm"]
    momentum: float = Field(
        0.1, gt=0, le=1, description="newest batch's weight in the running statistics"
    )
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,
        row_mixing=RowMixing(alternative="layer_norm"),
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def removes_means(self) -> bool:
        """Of each feature or channel, over the batch."""
        return True

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before normalises likewise."""
        return before.type == self.type

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back; a scale and a shift for each channel."""
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=2 * shape[0],
            multiply_adds=0,
            num_kept=math.prod(shape),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return a number for each channel: scale and shift, the running mean and variance."""
        each = TensorAxes(planned.input_shape[:1], inputs=0, outputs=0)
        names = ("weight", "bias", "running_mean", "running_var")
        return {**dict.fromkeys(names, each), "num_batches_tracked": TensorAxes(())}

    def min_rows(self, shape: Shape) -> int:
        """Return 1 where a row has several positions: two numbers a channel have a variance."""
        return 1 if math.prod(shape[1:]) > 1 else 2

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.BatchNorm1d, or nn.BatchNorm2d for images."""
        from torch import nn

        norm = nn.BatchNorm2d if len(planned.input_shape) == 3 else nn.BatchNorm1d
        return norm(planned.input_shape[0], eps=self.eps, momentum=self.momentum)


@final
class LayerNorm(Layer):
    """Normalises each row over all its numbers, then applies a learned scale and shift."""

    type: Literal["layer_norm"]
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,  # of images, its numbers have several axes all the same
        row_mixing=None,
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before normalises likewise."""
        return before.type == self.type

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back; a scale and a shift for each number."""
        size = math.prod(shape)
        return PlannedLayer(
            self, shape, shape, num_parameters=2 * size, multiply_adds=0, num_kept=size
        )

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Give each member a scale and a shift of its own, unless all parameters are shared."""
        found = planned.computed_by(members)
        if members.separate == "nothing":
            return found
        return replace(found, num_parameters=planned.num_parameters * members.number)

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return scale and shift, one of each for each number of a row, and for each member."""
        axes, members = TensorAxes(planned.input_shape, 0, 0), planned.members
        if members is not None and members.separate != "nothing":
            axes = TensorAxes((members.number, *planned.input_shape), 1, 1)
        return dict.fromkeys(("weight", "bias"), axes)

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.LayerNorm, or what computes it for an ensemble's members."""
        from torch import nn

        from dlcli.layers.modules import MembersLayerNorm

        members = planned.members
        if members is not None and members.separate != "nothing":
            return MembersLayerNorm(members.number, planned.input_shape, self.eps)
        return nn.LayerNorm(planned.input_shape, eps=self.eps)
