"""The modules of attention; imported when a layer is built.

They compute on `[batch, length, channels]` in memory, and pass on a transposed view of that.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcli.layers.modules import RandomMask
from dlcli.layers.ragged import TakesLengths, is_behind, without_rest
from dlcli.schedules.base import ScheduledNumber


class SelfAttention(TakesLengths):
    """Multi-head self-attention, with the weights of nn.MultiheadAttention.

    Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, section 3.2.
    """

    def __init__(
        self,
        num_channels: int,
        num_heads: int,
        *,
        is_causal: bool,
        bias: bool,
        dropout: float | ScheduledNumber,
    ) -> None:
        super().__init__()
        self.num_heads, self.is_causal = num_heads, is_causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * num_channels, num_channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * num_channels)) if bias else None
        self.out_proj = nn.Linear(num_channels, num_channels, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)
        self.dropout = RandomMask(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Attend within each row: `[batch, channels, length]` to the same."""
        x = positions_first(x, lengths)
        return self.attend(x, self.key_bias(x, lengths)).transpose(1, 2)

    def key_bias(self, x: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Return what scores of keys get added, [batch, 1, 1, length]: -∞ behind a row's end.

        None: nothing. Causal attention doesn't need it, as no position sees later ones.
        """
        if lengths is None or self.is_causal:
            return None
        # A row of length 0 sees its first position, which is zero, as softmax needs one at least.
        is_ignored = is_behind(lengths.clamp(min=1), x.shape[1])[:, None, None]
        return x.new_zeros(is_ignored.shape).masked_fill(is_ignored, -math.inf)

    def attend(self, x: Tensor, key_bias: Tensor | None) -> Tensor:
        """Attend: `[batch, length, channels]` to the same."""
        projected = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        is_stacked = torch._C._functorch.is_batchedtensor(x)  # PyTorch's kernel has no rule for it
        if self.dropout.is_active or is_stacked:
            q, k, v = self._flat_heads(projected)
            mixed = torch.bmm(self.dropout(self._weights(q, k, key_bias)), v)
            mixed = mixed.view(-1, self.num_heads, *mixed.shape[1:])
        else:
            q, k, v = self._by_head(projected).transpose(1, 3).unbind(2)
            mixed = functional.scaled_dot_product_attention(
                q, k, v, key_bias, is_causal=self.is_causal
            )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def attention_weights(self, x: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """Return how much each position counts for each, one tensor [batch, heads, length, length].

        `x` is `[batch, channels, length]`; the weights for a position add up to 1.
        """
        x = positions_first(x, lengths)
        return [self.weights(x, self.key_bias(x, lengths))]

    def weights(self, x: Tensor, key_bias: Tensor | None) -> Tensor:
        """Return the same of `[batch, length, channels]`."""
        projected = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, _ = self._flat_heads(projected)
        weights = self._weights(q, k, key_bias)
        return weights.view(-1, self.num_heads, *weights.shape[1:])

    def _by_head(self, projected: Tensor) -> Tensor:
        """Return a view, [batch, length, 3, heads, channels of a head]."""
        return projected.view(*projected.shape[:2], 3, self.num_heads, -1)

    def _flat_heads(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values, each [batch · heads, length, channels of a head]."""
        return self._by_head(projected).permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)

    def _weights(self, q: Tensor, k: Tensor, key_bias: Tensor | None) -> Tensor:
        """Return the softmax of the scores, [batch · heads, length, length]."""
        length, scale = q.shape[1], q.shape[2] ** -0.5
        if self.is_causal:
            bias = q.new_full((length, length), -math.inf).triu(1)
        elif key_bias is not None:
            bias = key_bias.expand(-1, self.num_heads, 1, -1).flatten(0, 1)
        else:
            return torch.bmm(q * scale, k.mT).softmax(-1)
        return torch.baddbmm(bias, q, k.mT, alpha=scale).softmax(-1)


class EncoderLayer(nn.Module):
    """Attention and a feedforward network, with residual connections and layer norms.

    Its weights are those of nn.TransformerEncoderLayer.
    """

    def __init__(
        self,
        attention: SelfAttention,
        num_hidden: int,
        activation: nn.Module,
        *,
        norm_first: bool,
        bias: bool,
        dropout: float | ScheduledNumber,
        eps: float,
    ) -> None:
        super().__init__()
        num_channels = attention.out_proj.out_features
        self.norm_first = norm_first
        self.self_attn = attention
        self.linear1 = nn.Linear(num_channels, num_hidden, bias=bias)
        self.linear2 = nn.Linear(num_hidden, num_channels, bias=bias)
        self.norm1 = nn.LayerNorm(num_channels, eps=eps, bias=bias)
        self.norm2 = nn.LayerNorm(num_channels, eps=eps, bias=bias)
        self.activation = activation
        # In the order in which they draw.
        self.dropout1, self.dropout, self.dropout2 = (RandomMask(dropout) for _ in range(3))

    def forward(self, x: Tensor, key_bias: Tensor | None) -> Tensor:
        """Compute `[batch, length, channels]` of the same."""
        if self.norm_first:
            x = x + self.dropout1(self.self_attn.attend(self.norm1(x), key_bias))
            return x + self._feed_forward(self.norm2(x))
        x = self.norm1(x + self.dropout1(self.self_attn.attend(x, key_bias)))
        return self.norm2(x + self._feed_forward(x))  # type: ignore[no-any-return]

    def weights(self, x: Tensor, key_bias: Tensor | None) -> Tensor:
        """Return the weights of its attention, [batch, heads, length, length]."""
        return self.self_attn.weights(self.norm1(x) if self.norm_first else x, key_bias)

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.dropout2(self.linear2(hidden))  # type: ignore[no-any-return]


class Encoder(TakesLengths):
    """Encoder layers one after another, with the weights of nn.TransformerEncoder."""

    def __init__(self, layers: list[EncoderLayer], norm: nn.LayerNorm | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = norm

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute `[batch, channels, length]` of the same, within each row."""
        x = positions_first(x, lengths)
        key_bias = self._key_bias(x, lengths)
        for layer in self.layers:
            x = layer(x, key_bias)
        if self.norm is not None:
            x = self.norm(x)
        return x.transpose(1, 2)

    def attention_weights(self, x: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """Return how much each position counts for each, [batch, heads, length, length] a layer."""
        x = positions_first(x, lengths)
        key_bias, found = self._key_bias(x, lengths), []
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer), "it is made of them"
            found.append(layer.weights(x, key_bias))
            x = layer(x, key_bias)
        return found

    def _key_bias(self, x: Tensor, lengths: Tensor | None) -> Tensor | None:
        first = self.layers[0]
        assert isinstance(first, EncoderLayer), "it is made of them"
        return first.self_attn.key_bias(x, lengths)


class SinePositions(nn.Module):
    """Adds sines and cosines of each position, of wavelengths from 2π to 10,000 · 2π.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """

    table: Tensor

    def __init__(self, num_channels: int, length: int) -> None:
        super().__init__()
        channels = torch.arange(0, num_channels, 2, dtype=torch.float64)
        places = torch.arange(length, dtype=torch.float64)
        angles = places[:, None] * 10_000 ** (-channels / num_channels)
        both = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)  # in turn
        self.register_buffer("table", both[:, :num_channels].float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add them to `[batch, channels, length]`."""
        return (x.transpose(1, 2) + self.table[: x.shape[2]]).transpose(1, 2)


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position."""

    def __init__(self, num_channels: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, num_channels))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Add them to `[batch, channels, length]`."""
        return (x.transpose(1, 2) + self.weight[: x.shape[2]]).transpose(1, 2)


def positions_first(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return `[batch, channels, length]` as `[batch, length, channels]`, 0 behind each row's end.

    It is in memory so; whatever is behind an end is left out, NaN too.
    """
    return without_rest(x, lengths).transpose(1, 2).contiguous()
