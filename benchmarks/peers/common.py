"""What all peers do alike: reading the table, and saying how long the epochs took."""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl


def read_spec():
    """Return the work load's description, as an object, and the folder for the saved model."""
    about = {"device": "cpu", "precision": "fp32", "image_side": 0} | json.loads(
        Path(sys.argv[1]).read_text()
    )
    return SimpleNamespace(**about), Path(sys.argv[2])


def read_table(spec):
    """Return training and validation features (float32, standardised) and labels (int64).

    By polars, which is faster than what most people would read it with.
    """
    table = pl.read_csv(spec.table)
    is_training = (table[spec.part] == "train").to_numpy()
    labels = table[spec.target].to_numpy().astype(np.int64)
    features = table.drop(spec.part, spec.target).to_numpy().astype(np.float32)
    if not spec.image_side:
        mean, std = features[is_training].mean(axis=0), features[is_training].std(axis=0)
        features = (features - mean) / std
    return (
        features[is_training],
        labels[is_training],
        features[~is_training],
        labels[~is_training],
    )


class Watch:
    """Notes how long each epoch takes, its validation pass included."""

    def __init__(self):
        self.seconds = []

    def start(self):
        """Begin an epoch."""
        self._begun = time.perf_counter()

    def stop(self):
        """End it, when the validation rows have been looked at."""
        self.seconds.append(time.perf_counter() - self._begun)


def report(watch, num_rows, spec, accuracy):
    """Print what the driver reads: seconds a step, epoch by epoch, and the accuracy."""
    steps = -(-num_rows // spec.batch_size)
    result = {"steps": [seconds / steps for seconds in watch.seconds], "accuracy": float(accuracy)}
    print(json.dumps(result))
