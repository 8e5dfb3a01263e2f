"""Convolutions."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import PlannedLayer, Region, Shape, ShapeError, Traits, require_axes
from dlcli.layers.weights import WeightedLayer
from dlcli.layers.windows.sliding import Pad, Pad2d, Size2d, num_windows, per_axis, seen_by_windows
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

Padding = Literal["same", "valid"]


class _Convolution(WeightedLayer):
    """A convolution over channels first and some axes after them."""

    if TYPE_CHECKING:  # fields of each kind
        out_channels: int
        kernel_size: int | tuple[int, int]
        stride: int | tuple[int, int]
        padding: int | tuple[int, int] | Padding
        dilation: int | tuple[int, int]
        groups: int

    num_axes: ClassVar[int]  # without the channels
    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, …]`."""
        hint = "; say what the features are with data.shape, or add a reshape"
        require_axes(shape, self.num_axes + 1, hint if len(shape) == 1 else "")
        for name, channels in (
            ("input channels", shape[0]),
            ("out_channels", self.out_channels),
        ):
            if channels % self.groups:
                raise ShapeError(f"groups {self.groups} doesn't divide the {channels} {name}")
        if self.padding == "same":
            if set(self._strides) != {1}:
                raise ShapeError("padding: same works with stride 1 only")
            return (self.out_channels, *shape[1:])
        padding = self._per_axis(0 if self.padding == "valid" else self.padding)
        return (self.out_channels, *num_windows(shape, self._windows, self._strides, padding))

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, channels, …]`: of each group, its part of the channels."""
        return (self.out_channels, shape[0] // self.groups, *self._per_axis(self.kernel_size))

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:  # noqa: ARG002
        """Return where the filter stands, and how far it reaches with its dilation."""
        if self.padding == "same":  # as torch has it: the rest at the end
            padding = tuple((window - 1) // 2 for window in self._windows)
        else:
            padding = self._per_axis(0 if self.padding == "valid" else self.padding)
        return seen_by_windows(region, self._windows, self._strides, padding)

    @property
    def _strides(self) -> tuple[int, ...]:
        return self._per_axis(self.stride)

    @property
    def _windows(self) -> tuple[int, ...]:
        """How far a filter reaches along each axis."""
        sizes = zip(self._per_axis(self.dilation), self._per_axis(self.kernel_size), strict=True)
        return tuple(dilation * (size - 1) + 1 for dilation, size in sizes)

    def _per_axis(self, value: int | tuple[int, int]) -> tuple[int, ...]:
        return per_axis(value, self.num_axes)

    def _options(self) -> dict[str, Any]:
        """Return torch's options, which the config names as torch does."""
        others = {"type", *WeightedLayer.model_fields} - {"bias"}
        return self.model_dump(exclude=others)


@final
class Conv1d(_Convolution):
    """Convolution over `[channels, length]`."""

    type: Literal["conv1d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size = Field(description="length of the filter")
    stride: Size = Field(1, description="step from one position of the filter to the next")
    padding: Pad | Padding = Field(0, description="zeros added at both ends")
    dilation: Size = Field(1, description="spacing between kernel elements")
    groups: Size = Field(1, description="groups that the channels are divided into")

    num_axes: ClassVar[int] = 1

    def build_linear(self, shape: Shape) -> "nn.Conv1d":
        """Build nn.Conv1d."""
        from torch import nn

        return nn.Conv1d(shape[0], **self._options())


@final
class Conv2d(_Convolution):
    """Convolution over `[channels, height, width]`."""

    type: Literal["conv2d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size2d = Field(description="size of the filter: one number, or [height, width]")
    stride: Size2d = Field(1, description="step from one position of the filter to the next")
    padding: Pad2d | Padding = Field(0, description="zeros added on every side")
    dilation: Size2d = Field(1, description="spacing between kernel elements")
    groups: Size = Field(1, description="groups that the channels are divided into")

    num_axes: ClassVar[int] = 2

    def build_linear(self, shape: Shape) -> "nn.Conv2d":
        """Build nn.Conv2d."""
        from torch import nn

        return nn.Conv2d(shape[0], **self._options())
