"""Normalisation, over the batch or over numbers of a row, each with a learned scale and shift."""

import math
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import (
    Layer,
    Members,
    PlannedLayer,
    RowMixing,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
)
from dlcli.section import PositiveFloat, Size

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
        at_end="refuses",
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


class _RowNorm(Layer):
    """Normalises the numbers of each row by themselves, or the channels of each position."""

    if TYPE_CHECKING:  # a field of each kind
        over: Literal["all", "channels"]

    learned: ClassVar[tuple[str, ...]]  # parameters, with a number for each that is normalised

    @property
    def traits(self) -> Traits:
        """What holds for its type; over channels, each position is normalised by itself."""
        return Traits(
            keeps_positions=True,
            passes_input_on=False,
            has_filters=False,  # of images, its numbers have several axes all the same
            row_mixing=None,
            at_end="each" if self.over == "channels" else "refuses",
            stacking_obstacle=None,
            recording_obstacle=None,
        )

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before normalises likewise."""
        return before.type == self.type

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=len(self.learned) * math.prod(self._normalised(shape)),
            multiply_adds=0,
            num_kept=math.prod(shape),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return what is learned, a number for each number or channel."""
        return dict.fromkeys(self.learned, TensorAxes(self._normalised(planned.input_shape), 0, 0))

    def _normalised(self, shape: Shape) -> Shape:
        """Return the shape of the numbers that are normalised together."""
        return shape if self.over == "all" else shape[:1]


@final
class LayerNorm(_RowNorm):
    """Normalises each row over all its numbers, then applies a learned scale and shift."""

    type: Literal["layer_norm"]
    over: Literal["all", "channels"] = Field(
        "all",
        description="numbers that are normalised together, each with a scale and a shift: all of "
        "a row, or, as in ConvNeXt, the channels of each position",
    )
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Give each member a scale and a shift of its own, unless all parameters are shared."""
        if self._normalised(planned.input_shape) != planned.input_shape:
            return super().plan_members(planned, members)
        found = planned.computed_by(members)
        if members.separate == "nothing":
            return found
        return replace(found, num_parameters=planned.num_parameters * members.number)

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return scale and shift, one of each for each number or channel, and for each member."""
        shape, members = self._normalised(planned.input_shape), planned.members
        if members is None or members.separate == "nothing":
            return super().tensors(planned)
        return dict.fromkeys(self.learned, TensorAxes((members.number, *shape), 1, 1))

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.LayerNorm, or what computes it for channels or for an ensemble's members."""
        from torch import nn

        from dlcli.layers.modules import ChannelNorm, MembersLayerNorm

        shape, members = self._normalised(planned.input_shape), planned.members
        if members is not None and members.separate != "nothing":
            return MembersLayerNorm(members.number, shape, self.eps)
        if shape != planned.input_shape:
            return ChannelNorm(shape[0], self.eps)
        return nn.LayerNorm(shape, eps=self.eps)


@final
class RmsNorm(_RowNorm):
    """Divides by the root of the mean square, then scales (Zhang et al. 2019, arXiv:1910.07467)."""

    type: Literal["rms_norm"]
    over: Literal["all", "channels"] = Field(
        "all",
        description="numbers whose mean square is taken, each with a scale: all of a row, or the "
        "channels of each position",
    )
    eps: PositiveFloat = Field(1e-6, description="added to the mean square")

    learned: ClassVar[tuple[str, ...]] = ("weight",)

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.RMSNorm, or what computes it for channels."""
        from torch import nn

        from dlcli.layers.modules import ChannelRmsNorm

        shape = self._normalised(planned.input_shape)
        if shape != planned.input_shape:
            return ChannelRmsNorm(shape[0], self.eps)
        return nn.RMSNorm(shape, eps=self.eps)


class _ChannelGroupNorm(Layer):
    """Normalises groups of channels of each row, over all their positions."""

    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="refuses",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @abstractmethod
    def group_size(self, num_channels: int) -> int:
        """Return how many channels are normalised together; ShapeError where none can be."""

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before normalises likewise."""
        return before.type == self.type

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape whose groups have several numbers; scale and shift are by channel."""
        if self.group_size(shape[0]) * math.prod(shape[1:]) < 2:
            raise ShapeError(
                f"would set every number to 0: of {list(shape)}, each is normalised by itself; "
                "use layer_norm or batch_norm"
            )
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=2 * shape[0],
            multiply_adds=0,
            num_kept=math.prod(shape),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return scale and shift, one of each for each channel."""
        each = TensorAxes(planned.input_shape[:1], inputs=0, outputs=0)
        return dict.fromkeys(("weight", "bias"), each)

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.GroupNorm."""
        from torch import nn

        num_channels = planned.input_shape[0]
        return nn.GroupNorm(num_channels // self.group_size(num_channels), num_channels, self.eps)


@final
class GroupNorm(_ChannelGroupNorm):
    """Normalises each row over groups of channels (Wu and He 2018, arXiv:1803.08494)."""

    type: Literal["group_norm"]
    num_groups: Size = Field(description="groups that the channels are divided into")

    def group_size(self, num_channels: int) -> int:
        """Divide the channels."""
        if num_channels % self.num_groups:
            raise ShapeError(
                f"num_groups {self.num_groups} doesn't divide the {num_channels} channels"
            )
        return num_channels // self.num_groups


@final
class InstanceNorm(_ChannelGroupNorm):
    """Normalises each channel of each row (Ulyanov et al. 2016, arXiv:1607.08022)."""

    type: Literal["instance_norm"]

    def group_size(self, num_channels: int) -> int:  # noqa: ARG002 - whatever their number
        """Each channel is one."""
        return 1
