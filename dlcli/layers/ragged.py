"""Modules for rows that differ in length: how they are told; imported when a layer is built."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Sequences(NamedTuple):
    """Rows that are padded to the same length, and where each of them ends."""

    values: Tensor  # [batch, channels, length], or codes [batch, length]
    lengths: Tensor  # int64 [batch]


class TakesLengths(nn.Module):
    """A module that is called with its input and the lengths of the rows in it, int64 [batch].

    Without lengths, each row is as long as the input. What is behind an end has no influence.
    """

    def lengths_after(self, lengths: Tensor) -> Tensor | None:
        """Return the lengths of the rows of its output; None: they are no sequences."""
        return lengths


class LayerSequence(TakesLengths, nn.Sequential):
    """Modules one after another, which hands lengths on to those that take them."""

    def __init__(self, modules: OrderedDict[str, nn.Module]) -> None:
        super().__init__(modules)

    def forward(self, input: Tensor | Sequences, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 - PyTorch's name
        """Call each; the lengths may come with its input, or with what the first of them gives."""
        x: Tensor | Sequences = input
        for module in self:
            if isinstance(x, Sequences):
                x, lengths = x
            if lengths is not None and isinstance(module, TakesLengths):
                x = module(x, lengths)
                lengths = module.lengths_after(lengths)
            else:
                x = module(x)
        return x.values if isinstance(x, Sequences) else x

    def lengths_after(self, lengths: Tensor) -> Tensor | None:
        """Return the lengths behind the last of them."""
        after: Tensor | None = lengths
        for module in self:
            if after is not None and isinstance(module, TakesLengths):
                after = module.lengths_after(after)
        return after


def is_behind(lengths: Tensor, length: int) -> Tensor:
    """Say of each position of rows whether it is behind the row's end, bool [batch, length]."""
    return torch.arange(length, device=lengths.device) >= lengths[:, None]


def without_rest(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return `[batch, channels, length]` with zeros behind the end of each row."""
    if lengths is None:
        return x
    return x.masked_fill(is_behind(lengths, x.shape[-1])[:, None], 0.0)
