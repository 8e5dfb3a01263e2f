"""Residual blocks by name: the layers that they stand for, as sections of a config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from dlcli.layers.base import AXES, Shape, ShapeError

BlockName = Literal["basic", "bottleneck", "inverted", "convnext"]
_Section = dict[str, Any]

ACTIVATIONS_INSIDE: dict[BlockName, str] = {
    "basic": "relu",
    "bottleneck": "relu",
    "inverted": "relu6",
    "convnext": "gelu",
}
_BATCH_NORM: _Section = {"type": "batch_norm"}
_LAYER_SCALE = 1e-6  # at first: of ConvNeXt


@dataclass(frozen=True)
class BlockLayers:
    """The layers that a block stands for."""

    branches: Mapping[str, Sequence[_Section]]  # `layers`, and a `shortcut` where it needs one
    has_sum: bool = True  # its input is added; False: the layers alone


def block_layers(
    block: BlockName,
    shape: Shape,
    *,
    channels: int | None,
    stride: int,
    kernel_size: int | None,
    hidden_channels: int | None,
    activation: str,
    squeezing: _Section | None,
) -> BlockLayers:
    """Return the layers of a block for an input shape, as torchvision 0.28 has them.

    Raises ShapeError where the shape has no positions, or the block can't change its channels.
    """
    if len(shape) < 2:
        raise ShapeError(f"expects {AXES[2]} or {AXES[3]}, got {list(shape)}")
    before, after = shape[0], channels or shape[0]
    conv = _Convolutions(len(shape) - 1)
    gate = [] if squeezing is None else [{"type": "squeeze_excitation", **squeezing}]
    act = {"type": "activation", "activation": activation}
    match block:
        case "basic":
            size = kernel_size or 3
            layers = [
                *(conv.section(after, size, stride), _BATCH_NORM, act),
                *(conv.section(after, size), _BATCH_NORM, *gate),
            ]
        case "bottleneck":
            inside = hidden_channels or max(1, after // 4)
            layers = [
                *(conv.section(inside, 1), _BATCH_NORM, act),
                *(conv.section(inside, kernel_size or 3, stride), _BATCH_NORM, act),
                *(conv.section(after, 1), _BATCH_NORM, *gate),
            ]
        case "inverted":
            inside = hidden_channels or 6 * before
            wider = [] if inside == before else [conv.section(inside, 1), _BATCH_NORM, act]
            depthwise = conv.section(inside, kernel_size or 3, stride, groups="depthwise")
            layers = [
                *(*wider, depthwise, _BATCH_NORM, act, *gate),
                *(conv.section(after, 1), _BATCH_NORM),
            ]
            return BlockLayers({"layers": layers}, has_sum=stride == 1 and before == after)
        case "convnext":
            if before != after:
                raise ShapeError(
                    f"a convnext block gives as many channels as it gets, {before}; for {after}, "
                    "put {type: conv2d} before it"
                )
            inside = hidden_channels or 4 * before
            layers = [
                conv.section(before, kernel_size or 7, groups="depthwise", bias=True),
                {"type": "layer_norm", "over": "channels", "eps": 1e-6},
                {**conv.section(inside, 1, bias=True), "activation": activation},
                *gate,
                conv.section(before, 1, bias=True),
                {"type": "scale", "init": _LAYER_SCALE},
            ]
            return BlockLayers({"layers": layers})
        case _:
            assert_never(block)
    if stride == 1 and before == after:
        return BlockLayers({"layers": layers})
    return BlockLayers(
        {"layers": layers, "shortcut": [conv.section(after, 1, stride), _BATCH_NORM]}
    )


@dataclass(frozen=True)
class _Convolutions:
    """Sections of convolutions over so many axes."""

    num_axes: int

    def section(
        self,
        channels: int,
        size: int,
        stride: int = 1,
        *,
        groups: int | str = 1,
        bias: bool = False,
    ) -> _Section:
        """Return a convolution that keeps the positions at stride 1.

        Without a bias unless asked: a norm follows, which would take it away.
        """
        return {
            "type": f"conv{self.num_axes}d",
            "out_channels": channels,
            "kernel_size": size,
            "stride": stride,
            "padding": (size - 1) // 2,
            "groups": groups,
            "bias": bias,
        }
