"""The confusion matrix."""

from typing import Self

import numpy as np

from dlcli.metrics.base import Sums
from dlcli.metrics.rows import ScoredRows


class ConfusionCounts(Sums):
    """How often a class (row) was predicted as another (column)."""

    def __init__(self, num_classes: int) -> None:
        """Count nothing yet."""
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def add(self, rows: ScoredRows, weights: np.ndarray | None = None) -> None:
        if weights is not None:
            self.matrix = self.matrix.astype(weights.dtype)
        pairs = rows.truth * len(self.matrix) + rows.predicted
        np.add.at(self.matrix.reshape(-1), pairs, 1 if weights is None else weights)

    def __iadd__(self, other: Self) -> Self:
        self.matrix = self.matrix + other.matrix
        return self
