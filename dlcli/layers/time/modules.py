"""The modules of layers over positions; imported when a layer is built."""

import torch
from torch import Tensor, nn

from dlcli.layers.ragged import TakesLengths, is_behind, without_rest


class PoolOverTime(TakesLengths):
    """`[batch, channels, length]` to `[batch, channels]`; zeros for a row without positions."""

    def lengths_after(self, lengths: Tensor) -> None:
        """Return None: its output is no sequence."""
        del lengths


class MeanOverTime(PoolOverTime):
    """The mean of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the mean of each channel."""
        if lengths is None:
            return x.mean(2)
        return without_rest(x, lengths).sum(2) / lengths.clamp(min=1)[:, None]


class MaxOverTime(PoolOverTime):
    """The maximum of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the maximum of each channel."""
        if lengths is None:
            return x.amax(2)
        largest = x.masked_fill(is_behind(lengths, x.shape[2])[:, None], float("-inf")).amax(2)
        return largest.masked_fill((lengths == 0)[:, None], 0.0)


class LastOfTime(PoolOverTime):
    """The last of each row's positions."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take each channel's last number."""
        if lengths is None:
            return x[:, :, -1]
        places = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, x.shape[1], 1)
        return x.gather(2, places)[:, :, 0].masked_fill((lengths == 0)[:, None], 0.0)


class AttentionOverTime(PoolOverTime):
    """The mean of each row's positions, weighted by a softmax of learned scores.

    Yang et al. 2016, "Hierarchical Attention Networks for Document Classification",
    aclanthology.org/N16-1174, equations 5 to 7: the score of a position h is u · tanh(W h + b).
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_channels, num_channels)
        self.score = nn.Linear(num_channels, 1, bias=False)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take the weighted mean of each channel."""
        x = without_rest(x, lengths).transpose(1, 2)
        return torch.bmm(self._weights(x, lengths)[:, None], x)[:, 0]

    def attention_weights(self, x: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """Return how much each position counts, one tensor [batch, 1, 1, length]."""
        return [self._weights(without_rest(x, lengths).transpose(1, 2), lengths)[:, None, None]]

    def _weights(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the weights, [batch, length], of `[batch, length, channels]`."""
        scores = self.score(torch.tanh(self.hidden(x)))[:, :, 0]
        if lengths is not None:  # of a row without positions the first is taken, which is zero
            scores = scores.masked_fill(is_behind(lengths.clamp(min=1), x.shape[1]), -torch.inf)
        return torch.softmax(scores, dim=1)
