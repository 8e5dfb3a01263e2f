"""The different cells of a column, each with its count and its first place."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.tables.table import for_polars

MAX_LABELS = 100_000  # in a column: distinct labels are kept in memory


@dataclass(frozen=True)
class Labels:
    """Different cells, in the order of the file; None where there are more than MAX_LABELS."""

    table: pl.DataFrame | None  # cell, count, number (of the first row with it)

    @classmethod
    def of(cls, cells: pl.Series, numbers: np.ndarray) -> "Labels":
        """Gather from cells that are null where missing, in rows numbered [rows]."""
        counted = (
            pl.DataFrame({"cell": cells, "number": pl.Series(for_polars(numbers), dtype=pl.Int64)})
            .filter(pl.col("cell").is_not_null())
            .group_by("cell")
            .agg(count=pl.len().cast(pl.Int64), number=pl.col("number").min())
            .sort("number")
        )
        return cls(None if len(counted) > MAX_LABELS else counted)

    def __add__(self, other: "Labels") -> "Labels":
        if self.table is None or other.table is None:
            return Labels(None)
        merged = (
            pl.concat([self.table, other.table])
            .group_by("cell")
            .agg(pl.col("count").sum(), pl.col("number").min())
            .sort("number")
        )
        return Labels(None if len(merged) > MAX_LABELS else merged)

    @property
    def are_too_many(self) -> bool:
        """Whether they could not be held."""
        return self.table is None

    @property
    def cells(self) -> pl.Series:
        """The different cells; only where they are not too many."""
        assert self.table is not None, "who asks has seen that they are not too many"
        return self.table["cell"]

    @property
    def counts(self) -> np.ndarray:
        """How often each stands there, int64."""
        assert self.table is not None, "who asks has seen that they are not too many"
        return self.table["count"].to_numpy()

    @property
    def numbers(self) -> np.ndarray:
        """The number of the first row with each, int64."""
        assert self.table is not None, "who asks has seen that they are not too many"
        return self.table["number"].to_numpy()
