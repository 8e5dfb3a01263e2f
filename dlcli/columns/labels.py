"""The different cells of a column, each with its count and its first place."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from dlcli.columns.cells import to_labels
from dlcli.tables.table import for_polars

MAX_LABELS = 100_000  # in a column: distinct labels are kept in memory


@dataclass(frozen=True)
class Labels:
    """Different cells, in the order of the file; None where there are more than MAX_LABELS."""

    # cell, count, number (of the first row with it); weight (of its rows) if rows have weights
    table: pl.DataFrame | None

    @classmethod
    def of(
        cls, cells: pl.Series, numbers: np.ndarray, weights: np.ndarray | None = None
    ) -> "Labels":
        """Gather from cells that are null where missing, in rows numbered and weighted [rows]."""
        counted = (
            pl.DataFrame({"cell": cells, "number": pl.Series(for_polars(numbers), dtype=pl.Int64)})
            .filter(pl.col("cell").is_not_null())
            .group_by("cell")
            .agg(count=pl.len().cast(pl.Int64), number=pl.col("number").min())
            .sort("number")
        )
        if len(counted) > MAX_LABELS:
            return cls(None)
        if weights is not None:
            counted = counted.with_columns(_weights_of(counted["cell"], cells, weights))
        return cls(counted)

    def __add__(self, other: "Labels") -> "Labels":
        if self.table is None or other.table is None:
            return Labels(None)
        merged = (
            pl.concat([self.table, other.table])
            .group_by("cell")
            .agg(
                pl.col("count").sum(),
                pl.col("number").min(),
                *([pl.col("weight").sum()] if "weight" in self.table.columns else []),
            )
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
    def weights(self) -> np.ndarray | None:
        """The weight of the rows with each, float64; None where rows have no weights."""
        assert self.table is not None, "who asks has seen that they are not too many"
        return self.table["weight"].to_numpy() if "weight" in self.table.columns else None

    @property
    def numbers(self) -> np.ndarray:
        """The number of the first row with each, int64."""
        assert self.table is not None, "who asks has seen that they are not too many"
        return self.table["number"].to_numpy()


def _weights_of(different: pl.Series, cells: pl.Series, weights: np.ndarray) -> pl.Series:
    """Return the weight of the rows with each of different cells, summed in the rows' order."""
    places = different.to_frame("cell").with_row_index("place")
    found = cells.to_frame("cell").join(places, on="cell", how="left", maintain_order="left")
    place = found["place"].fill_null(len(different)).to_numpy()
    return pl.Series("weight", np.bincount(place, weights, len(different) + 1)[:-1])


@lru_cache(maxsize=64)
def codes_of(names: tuple[str, ...], first: int) -> dict[str, int]:
    """Return the code of each label, those of `names` counted from `first`.

    Names of earlier versions of dlcli are as their files had them (1.50, True): cells that are
    written so keep their codes, whatever other name means the same.
    """
    labels = to_labels(pl.Series(names, dtype=pl.String)).to_list()
    codes: dict[str, int] = {}
    for code, label in enumerate(labels, first):
        codes.setdefault(label, code)
    codes |= {name: code for code, name in enumerate(names, first)}
    if {*labels} <= {"true", "false"}:  # a boolean column, in which 1 is true
        for digit, label in (("1", "true"), ("0", "false")):
            if label in codes:
                codes[digit] = codes[label]
    return codes


def find_labels(cells: pl.Series, names: tuple[str, ...], *, first: int) -> pl.Series:
    """Return the code of each cell's label, Int32, `first - 1` where it is missing or unknown."""
    codes = codes_of(names, first)
    text = cells if cells.dtype == pl.String else to_labels(cells)
    found = text.replace_strict(codes, default=first - 1, return_dtype=pl.Int32)
    is_unknown = (found < first) & text.is_not_null()
    if cells.dtype == pl.String and is_unknown.any():  # few cells, as a rule
        labels = to_labels(text.filter(is_unknown))
        again = labels.replace_strict(codes, default=first - 1, return_dtype=pl.Int32)
        found = found.scatter(is_unknown.arg_true(), again)
    return found
