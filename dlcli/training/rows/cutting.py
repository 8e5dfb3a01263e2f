"""Sequences cut to the longest of a batch."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from torch import Tensor

from dlcli.data.fields import lengths_of
from dlcli.training.rows.batches import Rows, Tensors, ragged_names
from dlcli.training.rows.like_lengths import width_for


class BatchWidths:
    """Cuts the batches of an epoch to their longest rows.

    Lengths are read from the device window by window: reading is what makes the CPU wait.
    """

    def __init__(self) -> None:
        self._lengths: dict[str, np.ndarray] = {}  # of rows that no batch has had yet

    def noted(self, windows: Iterable[Rows]) -> Iterator[Rows]:
        """Yield windows, whose rows are what the next batches are made of."""
        for window in windows:
            for name in ragged_names(window.inputs):
                lengths = window.inputs[lengths_of(name)].cpu().numpy()
                self._lengths[name] = np.concatenate(
                    [self._lengths.get(name, lengths[:0]), lengths]
                )
            yield window

    def cut(self, batch: Rows) -> Rows:
        """Return the next batch, cut."""
        longest = {
            name: int(of_rows[: len(batch)].max()) for name, of_rows in self._lengths.items()
        }
        self._lengths = {name: of_rows[len(batch) :] for name, of_rows in self._lengths.items()}
        if not longest:
            return batch
        return Rows(_cut(batch.inputs, longest), batch.targets, len(batch))


def cut_to_longest(inputs: Tensors) -> Tensors:
    """Return the inputs of some rows, one at least, as wide as their longest row needs."""
    return _cut(
        inputs, {name: int(inputs[lengths_of(name)].max()) for name in ragged_names(inputs)}
    )


def _cut(inputs: Tensors, longest: Mapping[str, int]) -> dict[str, Tensor]:
    return {
        name: tensor[:, : width_for(longest[name])].contiguous() if name in longest else tensor
        for name, tensor in inputs.items()
    }
