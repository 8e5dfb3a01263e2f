"""Streamed rows → a disk cache beside the run folder's files, from which every epoch is read."""

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

AllRows = dict[str, Rows | StreamedRows]  # of each part, on the device or on their way to it


def encode_to_disk(
    dataset: Dataset, folder: Path, device: torch.device, rows: AllRows, stack: ExitStack
) -> Iterator[Reading]:
    """Encode a dataset's streamed rows into files without names, which last as long as the stack.

    Adds them to `rows`, a part after its name; nothing where the dataset holds its rows. Raises
    DataError where a row can't be encoded, StorageError where there is no room.
    """
    if dataset.stream is None:
        return
    caches = stack.enter_context(open_row_caches(folder, dataset.fitted, dataset.num_rows))
    yield from fill_row_caches(dataset.fitted, dataset.stream, caches, dataset.num_rows)
    rows |= {name: StreamedRows(cache, device) for name, cache in caches.items()}
