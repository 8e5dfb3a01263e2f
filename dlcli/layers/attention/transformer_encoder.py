"""The encoder of a transformer."""

import math
from typing import TYPE_CHECKING, Literal, final

from pydantic import Field

from dlcli.layers.activations import ACTIVATIONS
from dlcli.layers.attention.attention import AttendingLayer
from dlcli.layers.base import PlannedLayer, Shape, TensorAxes
from dlcli.schedules.scheduled_number import FractionOrSchedule
from dlcli.section import PositiveFloat, Size

if TYPE_CHECKING:
    from torch import nn

_HIDDEN = 4  # times the channels: Vaswani et al.


@final
class TransformerEncoder(AttendingLayer):
    """Layers of attention and a feedforward network (arXiv:1706.03762), as PyTorch has them."""

    type: Literal["transformer_encoder"]
    num_layers: Size = Field(1, description="encoder layers, one after another")
    dim_feedforward: Size | None = Field(
        None, description="hidden units of the feedforward networks; default: 4 for each channel"
    )
    norm: Literal["pre", "post"] = Field(
        "pre",
        description="layer norm before attention and feedforward network, and once more after the "
        "last layer (pre: trains without warm-up, arXiv:2002.04745), or after each sum (post)",
    )
    activation: Literal["relu", "gelu", "silu"] = Field(
        "relu", description="activation function of the feedforward networks"
    )
    dropout: FractionOrSchedule = Field(
        0.1,
        description="share set to zero in training of the attention weights, the hidden units, and "
        "what is added to the sequence, or how it changes over the steps",
    )
    eps: PositiveFloat = Field(1e-5, description="added to the variance by the layer norms")

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`, and give it back."""
        self.check_heads(shape)
        num_channels, length = shape
        num_hidden = self._num_hidden(num_channels)
        axes = self._axes(num_channels).values()
        # A layer: both norms, what attention and the feedforward network give, and both sums.
        kept = 6 * num_channels + 2 * num_hidden
        if self.dropped_share is not None:  # masks, and what is left
            kept += 4 * num_channels + 2 * num_hidden
        kept_of_layer = kept * length + self.num_kept_inside(shape)
        return PlannedLayer(
            self,
            shape,
            shape,
            num_parameters=sum(math.prod(each.shape) for each in axes),
            multiply_adds=self.num_layers
            * (self.attention_products(shape) + 2 * num_channels * num_hidden * length),
            num_kept=self.num_layers * kept_of_layer
            + (num_channels * length if self.norm == "pre" else 0),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return those of nn.TransformerEncoder; with `norm: pre`, of its last norm too."""
        return self._axes(planned.input_shape[0])

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it; each layer's weights begin as those of nn.TransformerEncoderLayer."""
        from torch import nn

        from dlcli.layers.attention.modules import Encoder, EncoderLayer

        num_channels = planned.input_shape[0]
        layers = [
            EncoderLayer(
                self.build_attention(num_channels),
                self._num_hidden(num_channels),
                ACTIVATIONS[self.activation].build(),
                norm_first=self.norm == "pre",
                bias=self.bias,
                dropout=self.dropout,
                eps=self.eps,
            )
            for _ in range(self.num_layers)
        ]
        if self.norm == "post":
            return Encoder(layers, None)
        return Encoder(layers, nn.LayerNorm(num_channels, self.eps, bias=self.bias))

    def _num_hidden(self, num_channels: int) -> int:
        return self.dim_feedforward or _HIDDEN * num_channels

    def _axes(self, num_channels: int) -> dict[str, TensorAxes]:
        hidden, attention = self._num_hidden(num_channels), self.attention_axes(num_channels)
        each = {
            **{f"self_attn.{name}": axes for name, axes in attention.items()},
            "linear1.weight": TensorAxes((hidden, num_channels)),
            "linear2.weight": TensorAxes((num_channels, hidden)),
            **self._norm_axes("norm1", num_channels),
            **self._norm_axes("norm2", num_channels),
        }
        if self.bias:
            each["linear1.bias"] = TensorAxes((hidden,))
            each["linear2.bias"] = TensorAxes((num_channels,))
        found = {
            f"layers.{index}.{name}": axes
            for index in range(self.num_layers)
            for name, axes in each.items()
        }
        return found | (self._norm_axes("norm", num_channels) if self.norm == "pre" else {})

    def _norm_axes(self, name: str, num_channels: int) -> dict[str, TensorAxes]:
        keys = ("weight", "bias") if self.bias else ("weight",)
        return {f"{name}.{key}": TensorAxes((num_channels,)) for key in keys}
