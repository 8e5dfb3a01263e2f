"""The shape that a layer makes of a shape, by arithmetic alone: no torch here.

Shapes leave out the batch. Every function raises ShapeError where the layer can't take the shape,
saying what it got and what it wants.
"""

import math
from typing import assert_never

from dlcli.config.layers import (
    ActivationLayer,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    Reshape,
    SingleLayer,
)

Shape = tuple[int, ...]
_AXES = {1: "[features]", 2: "[channels, length]", 3: "[channels, height, width]"}


class ShapeError(Exception):
    """A layer can't take the shape that reaches it. `path` leads to it inside of nested layers."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def output_shape(layer: SingleLayer, shape: Shape) -> Shape:
    """Return what comes out of one layer whose `units` are known."""
    match layer:
        case Dense():
            hint = "; put {type: flatten} in front" if len(shape) > 1 else ""
            _want(shape, 1, hint)
            assert layer.units is not None, "plan_layers fills units in"
            return (layer.units,)
        case ActivationLayer() | Dropout() | BatchNorm() | LayerNorm():
            return shape
        case Flatten():
            return (math.prod(shape),)
        case Reshape():
            if math.prod(layer.shape) != math.prod(shape):
                raise ShapeError(
                    f"gets {list(shape)}, {math.prod(shape)} numbers, and wants "
                    f"{math.prod(layer.shape)} for {list(layer.shape)}"
                )
            return layer.shape
        case Conv1d() | Conv2d():
            return _convolved(layer, shape)
        case MaxPool1d() | AvgPool1d() | MaxPool2d() | AvgPool2d():
            return _pooled(layer, shape)
        case GlobalAvgPool():
            if len(shape) < 2:
                raise ShapeError(f"gets {list(shape)} and wants {_AXES[2]} or {_AXES[3]}")
            return shape[:1]
        case _:
            assert_never(layer)


def weight_shape(layer: Dense | Conv1d | Conv2d, shape: Shape) -> Shape:
    """Return the shape of a layer's weight, as PyTorch has it, where `shape` comes in."""
    if isinstance(layer, Dense):
        assert layer.units is not None, "plan_layers fills units in"
        return (layer.units, shape[0])
    kernel = sizes(layer.kernel_size, len(shape) - 1)
    return (layer.out_channels, shape[0] // layer.groups, *kernel)


def projection_stride(before: Shape, after: Shape) -> tuple[int, ...] | None:
    """Return the strides with which a 1×1 convolution takes one shape to the other, if any do."""
    strides = []
    for old, new in zip(before[1:], after[1:], strict=True):
        stride = math.ceil(old / new)
        if (old - 1) // stride + 1 != new:
            return None
        strides.append(stride)
    return tuple(strides)


def sizes(value: int | tuple[int, int], axes: int) -> tuple[int, ...]:
    """Write one number for all axes as one for each."""
    return value if isinstance(value, tuple) else (value,) * axes


def _want(shape: Shape, num_axes: int, hint: str = "") -> None:
    if len(shape) != num_axes:
        raise ShapeError(f"gets {list(shape)} and wants {_AXES[num_axes]}{hint}")


def _convolved(layer: Conv1d | Conv2d, shape: Shape) -> Shape:
    axes = 1 if isinstance(layer, Conv1d) else 2
    hint = (
        "; say what the features are with data.shape, or add a reshape" if len(shape) == 1 else ""
    )
    _want(shape, axes + 1, hint)
    for name, channels in (("channels in", shape[0]), ("out_channels", layer.out_channels)):
        if channels % layer.groups:
            raise ShapeError(f"groups {layer.groups} doesn't divide the {channels} {name}")
    stride = sizes(layer.stride, axes)
    if layer.padding == "same":
        if set(stride) != {1}:
            raise ShapeError("padding: same goes with stride 1 only")
        return (layer.out_channels, *shape[1:])
    padding = (0,) * axes if layer.padding == "valid" else sizes(layer.padding, axes)
    spans = [
        reach * (size - 1) + 1
        for reach, size in zip(
            sizes(layer.dilation, axes), sizes(layer.kernel_size, axes), strict=True
        )
    ]
    return (layer.out_channels, *_slide(shape, spans, stride, padding))


def _pooled(layer: MaxPool1d | AvgPool1d | MaxPool2d | AvgPool2d, shape: Shape) -> Shape:
    axes = 1 if isinstance(layer, MaxPool1d | AvgPool1d) else 2
    _want(shape, axes + 1)
    window = sizes(layer.kernel_size, axes)
    padding = sizes(layer.padding, axes)
    if any(2 * pad > size for pad, size in zip(padding, window, strict=True)):
        raise ShapeError(f"padding {layer.padding} is more than half the window {list(window)}")
    stride = window if layer.stride is None else sizes(layer.stride, axes)
    return (shape[0], *_slide(shape, window, stride, padding))


def _slide(
    shape: Shape,
    spans: list[int] | tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> list[int]:
    places = [
        (size + 2 * pad - span) // step + 1
        for size, span, step, pad in zip(shape[1:], spans, stride, padding, strict=True)
    ]
    if min(places) < 1:
        raise ShapeError(
            f"gets {list(shape)}, smaller than its window {list(spans)}; use a smaller "
            "kernel_size, more padding, or less pooling before it"
        )
    return places
