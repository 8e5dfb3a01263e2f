"""Windows over the axes of an image or a series: their settings, and how often they fit."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dlcli.layers.base import Region, Shape, ShapeError
from dlcli.section import Size

# Settings: one number for both axes, or [height, width].
Size2d = Size | Annotated[tuple[Size, Size], Field(strict=False)]
Pad = Annotated[int, Field(ge=0, le=1_000_000)]
Pad2d = Pad | Annotated[tuple[Pad, Pad], Field(strict=False)]


def per_axis(value: int | tuple[int, int], num_axes: int) -> tuple[int, ...]:
    """Return one number per axis: the same for all where a single one is given."""
    return value if isinstance(value, tuple) else (value,) * num_axes


def num_windows(
    shape: Shape, windows: Sequence[int], strides: Sequence[int], paddings: Sequence[int]
) -> Shape:
    """Return how often a window fits along each axis of `[channels, …]`; ShapeError: not once."""
    counts = tuple(
        (size + 2 * padding - window) // stride + 1
        for size, window, stride, padding in zip(shape[1:], windows, strides, paddings, strict=True)
    )
    if min(counts) < 1:
        raise ShapeError(
            f"got {list(shape)}, smaller than its window {list(windows)}; use a smaller "
            "kernel_size, more padding, or less pooling before it"
        )
    return counts


def seen_by_windows(
    region: Region, windows: Sequence[int], strides: Sequence[int], paddings: Sequence[int]
) -> Region:
    """Return the region of the input that windows of a region of the output cover."""
    return tuple(
        (start * stride - before, (length - 1) * stride + window)
        for (start, length), window, stride, before in zip(
            region, windows, strides, paddings, strict=True
        )
    )
