"""`--smoke`: every stage of a run, in a moment."""

from dataclasses import replace

import numpy as np

from dlcli.data.dataset import Part
from dlcli.runs.preparation import Prepared

_BATCHES, _EPOCHS = 3, 2
_ROWS, _MOST_ROWS = 256, 4096  # of a full batch; of any


def shorten(prepared: Prepared) -> Prepared:
    """Return the same run over a few batches and epochs, rows taken evenly from all of them."""
    training = prepared.config.training
    size = _ROWS if training.batch_size == "full" else training.batch_size
    num_rows = min(size * training.accumulate_batches * _BATCHES, _MOST_ROWS)
    num_rows -= num_rows % size if size < num_rows else 0  # a short batch may be too short
    parts = {name: _thin_out(part, num_rows) for name, part in prepared.dataset.parts.items()}
    dataset = replace(prepared.dataset, parts=parts)
    epochs = min(training.epochs, _EPOCHS)
    shorter = training.model_copy(update={"epochs": epochs})
    config = prepared.config.model_copy(update={"training": shorter})
    return replace(prepared, config=config, dataset=dataset)


def _thin_out(part: Part, num_rows: int) -> Part:
    rows = np.unique(np.linspace(0, len(part) - 1, num_rows).astype(np.int64))
    return Part(part.features[rows], part.targets[rows])
