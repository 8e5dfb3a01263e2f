"""Positional encoding."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import Layer, PlannedLayer, Shape, TensorAxes, Traits, require_axes

if TYPE_CHECKING:
    from torch import nn


@final
class PositionalEncoding(Layer):
    """Adds numbers that stand for its place to each position, as attention sees no order."""

    type: Literal["positional_encoding"]
    kind: Literal["sine", "learned"] = Field(
        "sine",
        description="sines and cosines of several wavelengths (Vaswani et al. 2017, "
        "arXiv:1706.03762), or a learned vector for each position, drawn with deviation 0.02",
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,  # a learned vector is none
        row_mixing=None,
        at_end="each",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`, and give it back."""
        require_axes(shape, 2)
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=math.prod(shape) if self.kind == "learned" else 0,
            multiply_adds=0,
            num_kept=math.prod(shape),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return the learned vectors, [length, channels]."""
        num_channels, length = planned.input_shape
        if self.kind == "sine":
            return {}
        return {"weight": TensorAxes((length, num_channels), inputs=1, outputs=1)}

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build what adds to each position."""
        from dlcli.layers.attention.modules import LearnedPositions, SinePositions

        positions = SinePositions if self.kind == "sine" else LearnedPositions
        return positions(*planned.input_shape)
