"""Pooling: what stands for several positions of a channel."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import (
    AXES,
    Layer,
    PlannedLayer,
    Region,
    Shape,
    ShapeError,
    Traits,
    require_axes,
)
from dlcli.layers.windows.sliding import Pad, Pad2d, Size2d, num_windows, per_axis, seen_by_windows
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

_TRAITS = Traits(
    keeps_positions=False,
    passes_input_on=False,
    has_filters=False,
    row_mixing=None,
    at_end="refuses",
    stacking_obstacle=None,
    recording_obstacle=None,
)


class _Pool(Layer):
    """A number for each window over `[channels, …]`."""

    if TYPE_CHECKING:  # fields of each kind
        kernel_size: int | tuple[int, int]
        stride: int | tuple[int, int] | None
        padding: int | tuple[int, int]

    num_axes: ClassVar[int]  # without the channels
    traits: ClassVar[Traits] = _TRAITS

    def plan(self, shape: Shape) -> PlannedLayer:
        """Slide the window over each axis but the channels."""
        require_axes(shape, self.num_axes + 1)
        window, padding = per_axis(self.kernel_size, self.num_axes), self.padding
        paddings = per_axis(padding, self.num_axes)
        if any(2 * before > size for before, size in zip(paddings, window, strict=True)):
            raise ShapeError(f"padding {padding} is more than half the window {list(window)}")
        after = (shape[0], *num_windows(shape, window, self._strides, paddings))
        return PlannedLayer(
            self, shape, after, num_parameters=0, multiply_adds=0, num_kept=math.prod(after)
        )

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:  # noqa: ARG002
        """Return where the windows are."""
        windows, paddings = (
            per_axis(value, self.num_axes) for value in (self.kernel_size, self.padding)
        )
        return seen_by_windows(region, windows, self._strides, paddings)

    @property
    def _strides(self) -> tuple[int, ...]:
        stride = self.kernel_size if self.stride is None else self.stride
        return per_axis(stride, self.num_axes)

    def why_idle(self, planned: PlannedLayer) -> str | None:
        """Say so where each window is a number of its input."""
        is_single = set(per_axis(self.kernel_size, self.num_axes)) == {1}
        keeps_shape = planned.input_shape == planned.output_shape
        return "its window is a single number" if is_single and keeps_shape else None


class _Pool1d(_Pool):
    traits: ClassVar[Traits] = replace(_TRAITS, at_end="masks")

    kernel_size: Size = Field(description="length of the window")
    stride: Size | None = Field(None, description="default: the window's length")
    padding: Pad = Field(0, description="added at both ends; at most half the window")

    num_axes: ClassVar[int] = 1


class _Pool2d(_Pool):
    kernel_size: Size2d = Field(description="the window: one number, or [height, width]")
    stride: Size2d | None = Field(None, description="default: the window's size")
    padding: Pad2d = Field(0, description="added on every side; at most half the window")

    num_axes: ClassVar[int] = 2


@final
class MaxPool1d(_Pool1d):
    """Maximum of each window."""

    type: Literal["max_pool1d"]

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build nn.MaxPool1d, which is told where rows end."""
        from dlcli.layers.windows.modules import SequenceMaxPool1d

        return SequenceMaxPool1d(self.kernel_size, self.stride, self.padding)


@final
class AvgPool1d(_Pool1d):
    """Mean of each window."""

    type: Literal["avg_pool1d"]

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build nn.AvgPool1d, which is told where rows end."""
        from dlcli.layers.windows.modules import SequenceAvgPool1d

        stride = self.stride or self.kernel_size
        return SequenceAvgPool1d(self.kernel_size, stride, self.padding)


@final
class MaxPool2d(_Pool2d):
    """Maximum of each window."""

    type: Literal["max_pool2d"]

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build nn.MaxPool2d."""
        from torch import nn

        return nn.MaxPool2d(self.kernel_size, self.stride, self.padding)


@final
class AvgPool2d(_Pool2d):
    """Mean of each window."""

    type: Literal["avg_pool2d"]

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build nn.AvgPool2d."""
        from torch import nn

        return nn.AvgPool2d(self.kernel_size, self.stride, self.padding)


@final
class GlobalAvgPool(Layer):
    """Mean of each channel: `[channels, …]` to `[channels]`."""

    type: Literal["global_avg_pool"]

    traits: ClassVar[Traits] = replace(_TRAITS, at_end="ends")

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take channels with at least one axis more."""
        if len(shape) < 2:
            raise ShapeError(f"expects {AXES[2]} or {AXES[3]}, got {list(shape)}")
        return PlannedLayer(
            self, shape, shape[:1], num_parameters=0, multiply_adds=0, num_kept=shape[0]
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build the mean over all axes after the channels."""
        from dlcli.layers.modules import ChannelMeans

        return ChannelMeans()
