"""Multi-head self-attention."""

from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import (
    Layer,
    PlannedLayer,
    Region,
    Setting,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
    require_axes,
)
from dlcli.schedules.scheduled_number import FractionOrSchedule, highest
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

    from dlcli.layers.attention.modules import SelfAttention


class AttendingLayer(Layer):
    """A layer in which each position of `[channels, length]` looks at the others."""

    num_heads: Size = Field(
        description="attention heads, each of which looks at positions in its own way; they divide "
        "the channels among them"
    )
    causal: bool = Field(
        False, description="let each position look at itself and at those before it only"
    )
    bias: bool = Field(True, description="add learned biases")
    dropout: FractionOrSchedule = Field(0.0)

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        at_end="masks",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def dropped_share(self) -> Setting[float] | None:
        """The share that is set to zero in training, where any is."""
        return None if self.dropout == 0 else Setting("dropout", highest(self.dropout))

    @property
    def has_attention(self) -> bool:
        """Yes."""
        return True

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region:
        """Return all positions or, with `causal`, those up to the region's end."""
        [(start, length)] = region
        end = start + length if self.causal else planned.input_shape[1]
        return ((0, end),)

    def attention_axes(self, num_channels: int) -> dict[str, TensorAxes]:
        """Return the tensors of its attention."""
        found = {
            "in_proj_weight": TensorAxes((3 * num_channels, num_channels), inputs=1),
            "out_proj.weight": TensorAxes((num_channels, num_channels), outputs=0),
        }
        if self.bias:
            found["in_proj_bias"] = TensorAxes((3 * num_channels,))
            found["out_proj.bias"] = TensorAxes((num_channels,), outputs=0)
        return found

    def check_heads(self, shape: Shape) -> None:
        """Raise ShapeError unless it is a sequence whose channels the heads divide."""
        hint = "; a sequence of numbers is one with data.shape: [1, length]"
        require_axes(shape, 2, hint if len(shape) == 1 else "")
        if shape[0] % self.num_heads:
            fitting = [number for number in range(1, shape[0] + 1) if shape[0] % number == 0]
            nearest = min(fitting, key=lambda number: abs(number - self.num_heads))
            raise ShapeError(
                f"num_heads {self.num_heads} doesn't divide the {shape[0]} channels; use "
                f"num_heads: {nearest}, or give the layer before it a multiple of "
                f"{self.num_heads} channels"
            )

    def attention_products(self, shape: Shape) -> int:
        """Return the multiplications of attention in a row: by weights, and of the sequence."""
        num_channels, length = shape
        return 4 * num_channels**2 * length + 2 * num_channels * length**2

    def num_kept_inside(self, shape: Shape) -> int:
        """Return how many numbers attention keeps for the backward pass, its result aside."""
        num_channels, length = shape
        if self.dropped_share is None:
            return (4 * num_channels + self.num_heads) * length
        # Without PyTorch's kernel for the whole: the weights, the mask, and one times the other.
        return 7 * num_channels * length + 3 * self.num_heads * length**2

    def build_attention(self, num_channels: int) -> "SelfAttention":
        """Build its attention."""
        from dlcli.layers.attention.modules import SelfAttention

        return SelfAttention(
            num_channels,
            self.num_heads,
            is_causal=self.causal,
            bias=self.bias,
            dropout=self.dropout,
        )


@final
class Attention(AttendingLayer):
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762), as PyTorch has it."""

    type: Literal["attention"]
    dropout: FractionOrSchedule = Field(
        0.0,
        description="share of the attention weights set to zero in training, or how it changes "
        "over the steps",
    )

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`, and give it back."""
        self.check_heads(shape)
        num_channels, length = shape
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=4 * num_channels**2 + (4 * num_channels if self.bias else 0),
            multiply_adds=self.attention_products(shape),
            num_kept=self.num_kept_inside(shape) + num_channels * length,
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return the projections to queries, keys and values, and the one of the result."""
        return self.attention_axes(planned.input_shape[0])

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it; its weights begin as those of nn.MultiheadAttention."""
        return self.build_attention(planned.input_shape[0])
