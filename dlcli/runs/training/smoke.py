"""`--smoke`: every stage of a run on a few batches."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dlcli.data.encoding import encode_blocks
from dlcli.data.fields import Examples, concatenate
from dlcli.data.fitted import FittedData
from dlcli.data.stream import Stream
from dlcli.runs.preparation import Prepared

SMOKE_BLOCKS = 4  # blocks read of a streamed file
_BATCHES, _EPOCHS = 3, 2
_FULL_BATCH_ROWS, _MAX_ROWS = 256, 4096


def shorten(prepared: Prepared) -> Prepared:
    """Return the same run over a few batches and epochs.

    Rows are taken evenly from the whole data or, if it is streamed, from the first blocks.
    """
    training = prepared.config.training
    size = _FULL_BATCH_ROWS if training.batch_size == "full" else training.batch_size
    num_rows = min(size * training.accumulate_batches * _BATCHES, _MAX_ROWS)
    num_rows -= num_rows % size if size < num_rows else 0  # no short last batch
    dataset = prepared.dataset
    if dataset.stream is None:
        parts = {
            name: dataset.some_rows(name, _chosen(size, num_rows))
            for name, size in dataset.num_rows.items()
        }
    else:
        parts = _first_rows(dataset.fitted, dataset.stream, dataset.num_rows, num_rows)
    sizes = {name: len(part) for name, part in parts.items()}
    dataset = replace(dataset, parts=parts, num_rows=sizes, stream=None)
    epochs = min(training.epochs, _EPOCHS)
    shorter = training.model_copy(update={"epochs": epochs, "max_seconds": None})
    config = prepared.config.model_copy(update={"training": shorter})
    return replace(prepared, config=config, dataset=dataset)


def _chosen(size: int, num_rows: int) -> np.ndarray:
    """Return up to so many rows, evenly taken from a part of a size, int64."""
    return np.unique(np.linspace(0, size - 1, num_rows).astype(np.int64))


def _first_rows(
    fitted: FittedData, stream: Stream, sizes: Mapping[str, int], num_rows: int
) -> dict[str, Examples]:
    """Return up to `num_rows` of each part."""
    blocks: dict[str, list[Examples]] = {name: [] for name in sizes}
    for block in encode_blocks(fitted, stream, sizes):
        blocks[block.part].append(block.examples)
        incomplete = (
            name
            for name, found in blocks.items()
            if sum(map(len, found)) < min(num_rows, sizes[name])
        )
        if not any(incomplete):
            break
    parts = {name: concatenate(found) for name, found in blocks.items()}
    return {name: part.take(np.arange(min(num_rows, len(part)))) for name, part in parts.items()}
