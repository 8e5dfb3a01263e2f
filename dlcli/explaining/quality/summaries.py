"""Sequences as a linear model gets them: without an order."""

import torch
from torch import Tensor

from dlcli.layers.ragged import is_behind

MAX_CODES = 1_000  # that are counted: the most frequent ones have the lowest codes
_NUM_SPECIAL = 1  # code 0 pads
_ROWS_AT_ONCE = 256


def summarise(values: Tensor, lengths: Tensor, num_codes: int | None) -> Tensor:
    """Return sequences as numbers, float32 [rows, numbers]: counts of codes, or statistics.

    `values` are codes [rows, longest], or numbers [rows, longest, channels] of which there are the
    mean, the least and the greatest of each channel; zeros for a row without positions.
    """
    blocks = (torch.split(part, _ROWS_AT_ONCE) for part in (values, lengths))
    some = zip(*blocks, strict=True)
    if num_codes is None:
        return torch.cat([_statistics(each, ends) for each, ends in some])
    return torch.cat([_counts(each, ends, min(num_codes, MAX_CODES)) for each, ends in some])


def _counts(codes: Tensor, lengths: Tensor, num_codes: int) -> Tensor:
    """Return 1 + log of the count of each code, 0 where there is none."""
    known = torch.where(is_behind(lengths, codes.shape[1]) | (codes >= num_codes), 0, codes).long()
    counts = torch.zeros(len(codes), num_codes, device=codes.device)
    counts.scatter_add_(1, known, torch.ones_like(known, dtype=counts.dtype))
    counts = counts[:, _NUM_SPECIAL:]
    return torch.where(counts > 0, 1 + counts.clamp(min=1).log(), 0.0)


def _statistics(numbers: Tensor, lengths: Tensor) -> Tensor:
    behind = is_behind(lengths, numbers.shape[1])[:, :, None]
    mean = numbers.masked_fill(behind, 0).sum(1) / lengths.clamp(min=1)[:, None]
    least = numbers.masked_fill(behind, float("inf")).amin(1)
    greatest = numbers.masked_fill(behind, float("-inf")).amax(1)
    found = torch.cat([mean, least, greatest], dim=1)
    return found.masked_fill((lengths == 0)[:, None], 0.0)
