"""The modules of joins; imported when a network is built."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Concatenation(nn.Module):
    """`[batch, size]` of each input to `[batch, sizes]`."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Put them side by side."""
        return torch.cat([*inputs], dim=1)


class Addition(nn.Module):
    """`[batch, size]` of each input to `[batch, size]`."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Add them."""
        first, *others = inputs
        for other in others:
            first = first + other
        return first


class AttentionMean(nn.Module):
    """`[batch, size]` of each input to their weighted mean, `[batch, size]`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Score each input, and take the mean with the softmax of the scores as weights."""
        x = torch.stack([*inputs], dim=1)  # [batch, inputs, size]
        weights = torch.softmax(self.score(torch.tanh(self.hidden(x))), dim=1)
        return (weights * x).sum(dim=1)
