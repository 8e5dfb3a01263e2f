"""Rows that stay on disk: an epoch's order, read ahead on a thread of its own."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples
from dlcli.seeds import derive_seed
from dlcli.training.rows.batches import Rows, as_arrays, epoch_order, shuffled
from dlcli.training.rows.companions import Companions, EpochCompanions
from dlcli.training.rows.like_lengths import by_length

_CHUNK_BYTES = 2**17  # read in one go: rows that stand together in the file
_WINDOW_CHUNKS = 128  # whose rows are shuffled together
_BLOCK_BYTES = 2**22  # read in one go where the order is the file's


@dataclass(frozen=True)
class StreamedRows:
    """Rows that are cached on disk.

    An epoch takes chunks of consecutive rows in a random order, and shuffles the rows of several
    chunks, a window, together: so each row has a chance to be beside any other.
    """

    cache: RowCache
    device: torch.device

    def __len__(self) -> int:
        return len(self.cache)

    def head(self, num_rows: int) -> Rows:
        """Return the first rows, on the device."""
        return self._read(0, min(num_rows, len(self)))

    def take(self, chosen: Tensor) -> Rows:
        """Return some rows by their indices, int64 [chosen], on the device."""
        chunks = [(row, row + 1) for row in chosen.tolist()]
        return self._to_device(self._to_rows(self.cache.read(chunks)))

    def blocks(self) -> Iterator[Rows]:
        """Yield the rows in the file's order."""
        size = self._rows_in(_BLOCK_BYTES)
        for start in range(0, len(self), size):
            yield self._read(start, min(start + size, len(self)))

    def windows(
        self,
        *,
        seed: int,
        epoch: int,
        multiple: int,
        start: int,
        companions: Companions = "nothing",
    ) -> Generator[Rows, None, None]:
        """Yield the rows in an epoch's order, see `BatchSource`; the next window is being read.

        Windows end where chunks do. Rows of like lengths are found within a window.
        The partner of a row is the next one of its window: any other would have to be read.
        """
        chunks = _chunk_order(len(self), self._rows_in(_CHUNK_BYTES), seed=seed, epoch=epoch)
        windows = [
            chunks[first : first + _WINDOW_CHUNKS]
            for first in range(0, len(chunks), _WINDOW_CHUNKS)
        ]
        ends = np.cumsum([_num_rows(window) for window in windows])
        first = int(np.searchsorted(ends, start, side="right"))

        def begin(index: int) -> Future[tuple[Rows, np.ndarray]] | None:
            if index == len(windows):
                return None
            window_seed = derive_seed(seed, "window", epoch, index)
            order = shuffled(_num_rows(windows[index]), window_seed).numpy()
            before = int(ends[index]) - len(order)
            alike = partial(
                by_length,
                batch_size=multiple,
                seed=derive_seed(seed, "like lengths", epoch, index),
                first=-before % multiple,
            )
            return thread.submit(self._shuffled, windows[index], order, alike)

        needed: Companions = "nothing" if companions == "nothing" else "seeds"
        seeds = EpochCompanions.of(needed, len(self), seed, epoch, self.device)

        def accompanied(window: Rows, index: int, order: np.ndarray) -> Rows:
            if seeds is None:
                return window
            numbers = np.concatenate([np.arange(*chunk) for chunk in windows[index]])[order]
            window = window.seeded(seeds.seeds_of(torch.from_numpy(numbers).to(self.device)))
            return window.paired_with_next() if companions == "partners" else window

        with ThreadPoolExecutor(1, "dlcli-reader") as thread:
            following = begin(first)
            for index in range(first, len(windows)):
                assert following is not None, "there is one more window"
                window, order = following.result()
                following = begin(index + 1)
                skipped = max(0, start - int(ends[index] - len(window)))
                window = accompanied(self._to_device(window), index, order)
                yield window.cut(skipped, len(window))

    def _rows_in(self, num_bytes: int) -> int:
        return max(1, num_bytes // max(1, self.cache.input_bytes))

    def _shuffled(
        self,
        chunks: list[tuple[int, int]],
        order: np.ndarray,
        alike: Callable[[np.ndarray], np.ndarray],
    ) -> tuple[Rows, np.ndarray]:
        """Return rows in an order; if they differ in length, in one of `alike` ones in turn."""
        # By numpy, and the order made by another thread: wherever torch shares out work, OpenMP
        # gives this one a pool of its own, and all that wait in a step have less patience.
        read = self.cache.read(chunks)
        lengths = [read.lengths[name] for name in read.inputs if name in read.lengths]
        if lengths:
            order = order[alike(np.sum(lengths, axis=0)[order])]
        return self._to_rows(read.take(order)), order

    def _read(self, start: int, stop: int) -> Rows:
        """Return rows that stand together, on the device."""
        return self._to_device(self._to_rows(self.cache.read([(start, stop)])))

    def _to_rows(self, examples: Examples) -> Rows:
        """Return the same memory as tensors, ragged fields as long as in all other windows."""
        arrays = as_arrays(examples, self.cache.longest)
        inputs, targets = (
            {name: torch.from_numpy(array) for name, array in some.items()}
            for some in (arrays.inputs, arrays.targets)
        )
        return Rows(inputs, targets, len(examples))

    def _to_device(self, rows: Rows) -> Rows:
        return rows.each(lambda tensor: tensor.to(self.device))


def _chunk_order(num_rows: int, size: int, *, seed: int, epoch: int) -> list[tuple[int, int]]:
    """Return each chunk's first row and the one after its last, in an epoch's order."""
    order: Tensor = epoch_order(-(-num_rows // size), seed=seed, epoch=epoch)
    return [(chunk * size, min((chunk + 1) * size, num_rows)) for chunk in order.tolist()]


def _num_rows(chunks: list[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in chunks)
