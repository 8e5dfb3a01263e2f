"""Rows that stay on disk: an epoch's order, read ahead on a thread of its own."""

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.data.disk_cache import RowCache
from dlcli.seeds import derive_seed
from dlcli.training.rows.batches import Rows, epoch_order, shuffled

_CHUNK_BYTES = 2**17  # read in one go: rows that stand together in the file
_WINDOW_CHUNKS = 128  # whose rows are shuffled together
_BLOCK_BYTES = 2**22  # read in one go where the order is the file's


@dataclass(frozen=True)
class StreamedRows:
    """The rows of a spool.

    An epoch takes chunks of consecutive rows in a random order, and shuffles the rows of several
    chunks, a window, together: so each row has a chance to be beside any other.
    """

    spool: RowCache
    device: torch.device

    def __len__(self) -> int:
        return len(self.spool)

    def head(self, num_rows: int) -> Rows:
        """Return the first rows, on the device."""
        return self._to_device(self._read([(0, min(num_rows, len(self)))]))

    def blocks(self) -> Iterator[Rows]:
        """Yield the rows in the file's order."""
        size = self._rows_in(_BLOCK_BYTES)
        for start in range(0, len(self), size):
            yield self._to_device(self._read([(start, min(start + size, len(self)))]))

    def windows(
        self,
        *,
        seed: int,
        epoch: int,
        multiple: int,  # noqa: ARG002 - windows end where chunks do
        start: int,
    ) -> Generator[Rows, None, None]:
        """Yield the rows in an epoch's order, see `RowSource`; the next window is being read."""
        chunks = _chunk_order(len(self), self._rows_in(_CHUNK_BYTES), seed=seed, epoch=epoch)
        windows = [
            chunks[first : first + _WINDOW_CHUNKS]
            for first in range(0, len(chunks), _WINDOW_CHUNKS)
        ]
        ends = np.cumsum([_num_rows(window) for window in windows])
        first = int(np.searchsorted(ends, start, side="right"))

        def begin(index: int) -> Future[Rows] | None:
            if index == len(windows):
                return None
            own_seed = derive_seed(seed, "window", epoch, index)
            order = shuffled(_num_rows(windows[index]), own_seed).numpy()
            return thread.submit(self._shuffled, windows[index], order)

        with ThreadPoolExecutor(1, "dlcli-reader") as thread:
            following = begin(first)
            for index in range(first, len(windows)):
                assert following is not None, "there is one more window"
                window = following.result()
                following = begin(index + 1)
                skipped = max(0, start - int(ends[index] - len(window)))
                yield self._to_device(window).cut(skipped, len(window))

    def _rows_in(self, num_bytes: int) -> int:
        return max(1, num_bytes // (self.spool.width * np.dtype(np.float32).itemsize))

    def _shuffled(self, chunks: list[tuple[int, int]], order: np.ndarray) -> Rows:
        rows = self._read(chunks)
        # By numpy, and the order made by another thread: wherever torch shares out work, OpenMP
        # gives this one a pool of its own, and all that wait in a step have less patience.
        return _to_tensors(rows.features.numpy()[order], rows.targets.numpy()[order])

    def _read(self, chunks: list[tuple[int, int]]) -> Rows:
        features = np.empty((_num_rows(chunks), self.spool.width), np.float32)
        targets = np.empty(len(features), self.spool.target_type)
        filled = 0
        for start, stop in chunks:
            until = filled + stop - start
            self.spool.read_into(start, features[filled:until], targets[filled:until])
            filled = until
        return _to_tensors(features, targets)

    def _to_device(self, rows: Rows) -> Rows:
        return Rows(rows.features.to(self.device), rows.targets.to(self.device))


def in_order(rows: Rows | StreamedRows) -> Rows | Iterator[Rows]:
    """Return rows in the file's order, as evaluation wants them: all at once, or in blocks."""
    return rows if isinstance(rows, Rows) else rows.blocks()


def _to_tensors(features: np.ndarray, targets: np.ndarray) -> Rows:
    return Rows(torch.from_numpy(features), torch.from_numpy(targets))


def _chunk_order(num_rows: int, size: int, *, seed: int, epoch: int) -> list[tuple[int, int]]:
    """Return each chunk's first row and the one after its last, in an epoch's order."""
    order: Tensor = epoch_order(-(-num_rows // size), seed=seed, epoch=epoch)
    return [(chunk * size, min((chunk + 1) * size, num_rows)) for chunk in order.tolist()]


def _num_rows(chunks: list[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in chunks)
