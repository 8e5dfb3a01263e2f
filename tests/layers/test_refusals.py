"""What a layer that can't take its input says, and where."""

from typing import Any

import pytest

from dlcli.layers.base import ShapeError
from tests.layers.samples import DENSE, FLAT, LONG, plan


@pytest.mark.parametrize(
    ("shape", "specs", "path", "message"),
    [
        (LONG, [DENSE], (0,), "expects [features], got [3, 16]; put {type: flatten} before it"),
        (
            FLAT,
            [{"type": "conv1d", "out_channels": 2, "kernel_size": 3}],
            (0,),
            "expects [channels,",
        ),
        (
            FLAT,
            [{"type": "max_pool2d", "kernel_size": 2}],
            (0,),
            "expects [channels, height, width], got [12]",
        ),
        (
            FLAT,
            [{"type": "global_avg_pool"}],
            (0,),
            "expects [channels, length] or [channels, height, width], got [12]",
        ),
        (
            FLAT,
            [{"type": "reshape", "shape": [5, 2]}],
            (0,),
            "expects 10 numbers for [5, 2], got [12]",
        ),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 2, "kernel_size": 17}],
            (0,),
            "got [3, 16], smaller than its window [17]",
        ),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 4, "kernel_size": 3, "groups": 2}],
            (0,),
            "groups 2 doesn't divide the 3 input channels",
        ),
        (
            LONG,
            [
                {
                    "type": "conv1d",
                    "out_channels": 4,
                    "kernel_size": 3,
                    "stride": 2,
                    "padding": "same",
                }
            ],
            (0,),
            "padding: same works with stride 1 only",
        ),
        (LONG, [{"type": "max_pool1d", "kernel_size": 3, "padding": 2}], (0,), "more than half"),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 4, "kernel_size": 3, "groups": "depthwise"}],
            (0,),
            "out_channels must be a multiple of 3, not 4",
        ),
        (
            LONG,
            [
                {
                    "type": "conv_transpose1d",
                    "out_channels": 2,
                    "kernel_size": 3,
                    "stride": 2,
                    "output_padding": 2,
                }
            ],
            (0,),
            "output_padding 2 must be smaller than the stride 2",
        ),
        (
            LONG,
            [{"type": "conv_transpose1d", "out_channels": 2, "kernel_size": 1, "padding": 8}],
            (0,),
            "nothing is left of [3, 16]; use less padding",
        ),
        (LONG, [{"type": "group_norm", "num_groups": 2}], (0,), "doesn't divide the 3 channels"),
        (FLAT, [{"type": "instance_norm"}], (0,), "would set every number to 0"),
        (FLAT, [{"type": "squeeze_excitation"}], (0,), "expects [channels, length] or"),
        (FLAT, [{"type": "residual_block", "block": "basic"}], (0,), "expects [channels, length]"),
        (
            LONG,
            [{"type": "residual_block", "block": "convnext", "channels": 6}],
            (0,),
            "a convnext block gives as many channels as it gets, 3",
        ),
        (
            LONG,
            [
                {
                    "type": "residual_block",
                    "block": "bottleneck",
                    "channels": 4,
                    "squeeze_excitation": {"channels": 2},
                },
                {
                    "type": "residual",
                    "layers": [{"type": "conv1d", "out_channels": 2, "kernel_size": 1}],
                    "shortcut": [{"type": "conv1d", "out_channels": 3, "kernel_size": 1}],
                },
            ],
            (1, "shortcut"),
            "gives the shape [3, 16], and `layers` give [2, 16]",
        ),
        (
            FLAT,
            [{"type": "residual", "layers": [DENSE, {"type": "dense", "units": 2}]}, DENSE],
            (0, "layers", 0),
            "`units` is missing",
        ),
        (
            LONG,
            [{"type": "residual", "layers": [{"type": "flatten"}]}, DENSE],
            (0,),
            "no projection takes its input [3, 16] to its layers' output [48]",
        ),
        (
            FLAT,
            [{"type": "dense", "units": 3, "initial": {"weight": [[1, 2]]}}, DENSE],
            (0, "initial", "weight"),
            "has the shape [1, 2]; the layer expects [3, 12]",
        ),
        (
            FLAT,
            [{"type": "dense", "units": 3, "initial": {"bias": [1, 2]}}, DENSE],
            (0, "initial", "bias"),
            "has the shape [2]; the layer expects [3]",
        ),
        (
            FLAT,
            [{"type": "dense", "units": 3}],
            (0,),
            "the network's output has the shape [3], the target needs [2]",
        ),
        (
            FLAT,
            [DENSE, {"type": "reshape", "shape": [2, 1]}],
            (1,),
            "the network's output has the shape [2, 1]",
        ),
        (
            LONG,
            [{"type": "flatten"}],
            (0,),
            "the network's output has the shape [48], the target needs [2]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_layer(
    shape: tuple[int, ...], specs: list[dict[str, Any]], path: tuple[object, ...], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        plan(shape, *specs)
    assert caught.value.path == path
    assert message in str(caught.value)
