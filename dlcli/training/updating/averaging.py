"""The exponential moving average of the weights, which is judged, saved and predicted with.

As torch.optim.swa_utils.AveragedModel has it with get_ema_multi_avg_fn and use_buffers: the average
begins as the weights after the first step; batch norm's running statistics are averaged with them.
Counts are those of the network.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """Means of tensors that training changes."""

    def __init__(self, decay: float, tensors: Sequence[Tensor]) -> None:
        """Take tensors before the first step; those that hold no fractions are left out."""
        self.decay = decay
        self.tensors = [one for one in tensors if one.is_floating_point()]
        self.means = [one.clone() for one in self.tensors]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step of the run, counted from 0."""
        for mean, tensor in zip(self.means, self.tensors, strict=True):
            mean.lerp_(tensor, 1 - self.decay if step else 1.0)

    @torch.no_grad()
    def keep(self, tensors: Sequence[Tensor], runs: Sequence[int]) -> None:
        """Go on with some of many runs, whose tensors are these now."""
        self.tensors = [one for one in tensors if one.is_floating_point()]
        self.means = [mean[list(runs)] for mean in self.means]


@contextmanager
def exchanged(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Give tensors the values of others for a while."""
    with torch.no_grad():
        before = [tensor.clone() for tensor in tensors]
        _copy(tensors, others)
        try:
            yield
        finally:
            _copy(tensors, before)


def tensors_of(values: Tensor, buffers: Mapping[str, Tensor]) -> list[Tensor]:
    """Return what is averaged: all parameters as one tensor, and the buffers."""
    return [values, *buffers.values()]


def _copy(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    for tensor, other in zip(tensors, others, strict=True):
        tensor.copy_(other)
