"""Streamed rows → encoded rows in unnamed files of the run folder, read in every epoch."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import torch

from dlcli.data.dataset import Dataset
from dlcli.data.disk_cache import open_row_caches
from dlcli.data.encoding import fill_row_caches
from dlcli.data.stream import Reading
from dlcli.training.rows.batches import Rows
from dlcli.training.rows.streamed import StreamedRows

AllRows = dict[str, Rows | StreamedRows]  # by part: on the device, or read from disk


def encode_to_disk(
    dataset: Dataset, folder: Path, device: torch.device, rows: AllRows, stack: ExitStack
) -> Iterator[Reading]:
    """Encode a dataset's streamed rows into unnamed files, which are closed with the stack.

    Adds them to `rows` by part; does nothing if the dataset is in memory. Raises DataError if a row
    can't be encoded, StorageError if the disk is full.
    """
    if dataset.stream is None:
        return
    caches = stack.enter_context(open_row_caches(folder, dataset.fitted, dataset.num_rows))
    yield from fill_row_caches(dataset.fitted, dataset.stream, caches, dataset.num_rows)
    rows |= {name: StreamedRows(cache, device) for name, cache in caches.items()}
