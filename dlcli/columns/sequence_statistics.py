"""Statistics of sequences of numbers: sums over blocks of rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from dlcli.columns.cells.sequences import flatten
from dlcli.columns.running_statistics import RunningStatistics
from dlcli.texts.counts import LengthCounts

MAX_LENGTH = 65_536  # lengths above it are counted together


@dataclass(frozen=True)
class SequenceStatistics:
    """The sequences of some rows, those that are not missing."""

    numbers: RunningStatistics  # all elements
    lengths: LengthCounts
    num_rows: int
    common: tuple[float, ...] | None  # what all rows hold; None: they differ, or there is none

    @classmethod
    def of(cls, sequences: pl.Series, numbers: np.ndarray, weights: np.ndarray | None) -> Self:
        """Return those of List(Float64), null where missing, in rows numbered and weighted."""
        is_known = sequences.is_not_null().to_numpy()
        elements, lengths = flatten(sequences.drop_nulls())
        if weights is not None:
            weights = np.repeat(weights[is_known], lengths)
        common = None
        if len(lengths) and (lengths == lengths[0]).all():
            table = elements.reshape(len(lengths), lengths[0])
            common = tuple(table[0].tolist()) if (table == table[0]).all() else None
        return cls(
            RunningStatistics.of(elements, weights),
            LengthCounts.of(lengths, numbers[is_known], at_most=MAX_LENGTH),
            len(lengths),
            common,
        )

    def __add__(self, other: Self) -> Self:
        if not (self.num_rows and other.num_rows):
            return self if self.num_rows else other
        return type(self)(
            self.numbers + other.numbers,
            self.lengths + other.lengths,
            self.num_rows + other.num_rows,
            self.common if self.common == other.common else None,
        )
