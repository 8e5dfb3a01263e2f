"""Transposed convolutions: each number of the input is spread over a window of the output."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import PlannedLayer, Region, Shape, ShapeError
from dlcli.layers.windows.convolution import WindowedLayer
from dlcli.layers.windows.sliding import Pad, Pad2d, Size2d
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import Tensor, nn


class _TransposedConvolution(WindowedLayer):
    """What a convolution's backward pass does to its input, as a layer (Zeiler et al. 2010)."""

    if TYPE_CHECKING:  # fields of each kind
        groups: int
        padding: int | tuple[int, int]
        output_padding: int | tuple[int, int]

    weight_axes: ClassVar[tuple[int, int]] = (0, 1)

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[out_channels, …]`."""
        self.check_channels(shape)
        paddings, extra = self.per_axis(self.padding), self.per_axis(self.output_padding)
        dilations = self.per_axis(self.dilation)
        for more, stride, dilation in zip(extra, self.strides, dilations, strict=True):
            if more >= max(stride, dilation):
                raise ShapeError(
                    f"output_padding {more} must be smaller than the stride {stride} or the "
                    f"dilation {dilation}"
                )
        after = tuple(
            (size - 1) * stride - 2 * padding + window + more
            for size, stride, padding, window, more in zip(
                shape[1:], self.strides, paddings, self.windows, extra, strict=True
            )
        )
        if min(after) < 1:
            raise ShapeError(f"nothing is left of {list(shape)}; use less padding")
        return (self.out_channels, *after)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `[channels, out_channels, …]`: of each group, its part of `out_channels`."""
        return (shape[0], self.out_channels // self.groups, *self.per_axis(self.kernel_size))

    def by_output(self, weight: "Tensor") -> "Tensor":
        """Return `[out_channels, channels of a group, …]`."""
        return weight.reshape(self.groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)

    def from_outputs(self, numbers: "Tensor") -> "Tensor":
        """Return `[channels, out_channels of a group, …]`."""
        return numbers.reshape(self.groups, -1, *numbers.shape[1:]).transpose(1, 2).flatten(0, 1)

    def num_uses(self, before: Shape, after: Shape) -> int:  # noqa: ARG002 - of what comes out
        """Return the number of the input's positions."""
        return math.prod(before[1:])

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:  # noqa: ARG002
        """Return which part of the input is spread over a region."""
        fields = []
        for (start, length), stride, padding, window in zip(
            region, self.strides, self.per_axis(self.padding), self.windows, strict=True
        ):
            first = -(-(start + padding - window + 1) // stride)
            last = (start + length - 1 + padding) // stride
            fields.append((first, last - first + 1))
        return tuple(fields)


@final
class ConvTranspose1d(_TransposedConvolution):
    """Transposed convolution over `[channels, length]`, which makes it longer."""

    type: Literal["conv_transpose1d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size = Field(description="length of the filter")
    stride: Size = Field(1, description="step of the output for each position of the input")
    padding: Pad = Field(0, description="positions cut off at both ends")
    output_padding: Pad = Field(0, description="positions added at the end, below the stride")
    dilation: Size = Field(1, description="spacing between kernel elements")
    groups: Size = Field(1, description="groups that the channels are divided into")

    num_axes: ClassVar[int] = 1

    def build_linear(self, shape: Shape) -> "nn.ConvTranspose1d":
        """Build nn.ConvTranspose1d."""
        from torch import nn

        return nn.ConvTranspose1d(shape[0], **self.options(shape))


@final
class ConvTranspose2d(_TransposedConvolution):
    """Transposed convolution over `[channels, height, width]`, which enlarges it."""

    type: Literal["conv_transpose2d"]
    out_channels: Size = Field(description="number of filters")
    kernel_size: Size2d = Field(description="size of the filter: one number, or [height, width]")
    stride: Size2d = Field(1, description="step of the output for each position of the input")
    padding: Pad2d = Field(0, description="positions cut off on every side")
    output_padding: Pad2d = Field(0, description="positions added at the end, below the stride")
    dilation: Size2d = Field(1, description="spacing between kernel elements")
    groups: Size = Field(1, description="groups that the channels are divided into")

    num_axes: ClassVar[int] = 2

    def build_linear(self, shape: Shape) -> "nn.ConvTranspose2d":
        """Build nn.ConvTranspose2d."""
        from torch import nn

        return nn.ConvTranspose2d(shape[0], **self.options(shape))
