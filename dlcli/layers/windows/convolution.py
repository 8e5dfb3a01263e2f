"""Convolutions."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.layers.base import PlannedLayer, Region, Shape, ShapeError, Traits, require_axes
from dlcli.layers.weights import WeightedLayer
from dlcli.layers.windows.sliding import Pad, Pad2d, Size2d, num_windows, per_axis, seen_by_windows
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

Padding = Literal["same", "valid"]
Groups = Size | Literal["depthwise"]
_GROUPS = "groups that the channels are divided into; `depthwise`: each channel is one"


class WindowedLayer(WeightedLayer):
    """Filters over channels first and some axes after them."""

    if TYPE_CHECKING:  # fields of each kind
        out_channels: int
        kernel_size: int | tuple[int, int]
        stride: int | tuple[int, int]
        dilation: int | tuple[int, int]
        groups: int | Literal["depthwise"]

    num_axes: ClassVar[int]  # without the channels
    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        at_end="refuses",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def strides(self) -> tuple[int, ...]:
        """The step along each axis."""
        return self.per_axis(self.stride)

    @property
    def windows(self) -> tuple[int, ...]:
        """How far a filter reaches along each axis."""
        sizes = zip(self.per_axis(self.dilation), self.per_axis(self.kernel_size), strict=True)
        return tuple(dilation * (size - 1) + 1 for dilation, size in sizes)

    def num_groups(self, num_channels: int) -> int:
        """Return how many groups so many input channels are divided into."""
        return num_channels if self.groups == "depthwise" else self.groups

    def check_channels(self, shape: Shape) -> None:
        """Raise ShapeError unless there are channels and axes, and groups divide the channels."""
        hint = "; say what the features are with data.shape, or add a reshape"
        require_axes(shape, self.num_axes + 1, hint if len(shape) == 1 else "")
        groups = self.num_groups(shape[0])
        if self.groups == "depthwise" and self.out_channels % groups:
            raise ShapeError(
                f"groups: depthwise gives each of the {groups} input channels filters of its own: "
                f"out_channels must be a multiple of {groups}, not {self.out_channels}"
            )
        for name, channels in (
            ("input channels", shape[0]),
            ("out_channels", self.out_channels),
        ):
            if channels % groups:
                raise ShapeError(f"groups {groups} doesn't divide the {channels} {name}")

    def per_axis(self, value: int | tuple[int, int]) -> tuple[int, ...]:
        """Return one number per axis."""
        return per_axis(value, self.num_axes)

    def options(self, shape: Shape) -> dict[str, Any]:
        """Return torch's options, which the config names as torch does."""
        others = {"type", *WeightedLayer.model_fields} - {"bias"}
        return {**self.model_dump(exclude=others), "groups": self.num_groups(shape[0])}


class _Convolution(WindowedLayer):
    """A convolution."""

    if TYPE_CHECKING:  # a field of each kind
        padding: int | tuple[int, int] | Padding

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, …]`."""
        self.check_channels(shape)
        if self.padding == "same":
            if set(self.strides) != {1}:
                raise ShapeError("padding: same works with stride 1 only")
            return (self.out_channels, *shape[1:])
        padding = self.per_axis(0 if self.padding == "valid" else self.padding)
        return (self.out_channels, *num_windows(shape, self.windows, self.strides, padding))

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, channels, …]`: of each group, its part of the channels."""
        sizes = self.per_axis(self.kernel_size)
        return (self.out_channels, shape[0] // self.num_groups(shape[0]), *sizes)

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:  # noqa: ARG002
        """Return where the filter stands, and how far it reaches with its dilation."""
        if self.padding == "same":  # as torch has it: the rest at the end
            padding = tuple((window - 1) // 2 for window in self.windows)
        else:
            padding = self.per_axis(0 if self.padding == "valid" else self.padding)
        return seen_by_windows(region, self.windows, self.strides, padding)


@final
class Conv1d(_Convolution):
    """Convolution over `[channels, length]`."""

    type: Literal["conv1d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size = Field(description="length of the filter")
    stride: Size = Field(1, description="step from one position of the filter to the next")
    padding: Pad | Padding = Field(0, description="zeros added at both ends")
    dilation: Size = Field(1, description="spacing between kernel elements")
    groups: Groups = Field(1, description=_GROUPS)
    causal: bool = Field(
        False,
        description="a position sees itself and those before it alone: all padding is before "
        "the first one, as much as the filter reaches",
    )

    num_axes: ClassVar[int] = 1
    traits: ClassVar[Traits] = replace(WindowedLayer.traits, at_end="masks")

    @model_validator(mode="after")
    def _check_causal(self) -> Self:
        if self.causal and self.padding != 0:
            raise ValueError("`padding` has no effect where `causal` is true")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, length]`."""
        if not self.causal:
            return super().output_shape(shape)
        self.check_channels(shape)
        return (self.out_channels, (shape[1] - 1) // self.stride + 1)

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:
        """Return where the filter stands: before each position, if it is causal."""
        if not self.causal:
            return super().receptive_field(planned, region)
        return seen_by_windows(region, self.windows, self.strides, (self.windows[0] - 1,))

    def build_linear(self, shape: Shape) -> "nn.Conv1d":
        """Build nn.Conv1d, which is told where rows end."""
        from dlcli.layers.windows.modules import SequenceConv1d

        return SequenceConv1d(shape[0], **self.options(shape))


@final
class Conv2d(_Convolution):
    """Convolution over `[channels, height, width]`."""

    type: Literal["conv2d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size2d = Field(description="size of the filter: one number, or [height, width]")
    stride: Size2d = Field(1, description="step from one position of the filter to the next")
    padding: Pad2d | Padding = Field(0, description="zeros added on every side")
    dilation: Size2d = Field(1, description="spacing between kernel elements")
    groups: Groups = Field(1, description=_GROUPS)

    num_axes: ClassVar[int] = 2

    def build_linear(self, shape: Shape) -> "nn.Conv2d":
        """Build nn.Conv2d."""
        from torch import nn

        return nn.Conv2d(shape[0], **self.options(shape))
