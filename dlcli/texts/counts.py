"""How often tokens occur, and how long texts are: sums over blocks of rows."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import polars as pl

MAX_COUNTED = 1_000_000  # different tokens that are held in memory
_NUM_KEPT = MAX_COUNTED // 2  # of more: the most frequent ones


@dataclass(frozen=True)
class Found:
    """How many of something there are, and the number of the first row with it."""

    count: int = 0
    number: int = 0

    @classmethod
    def of(cls, table: pl.DataFrame) -> Self:
        """Return the tokens of a table of them."""
        return cls(sum(table["count"]), min(table["number"], default=0))


@dataclass(frozen=True)
class TokenCounts:
    """The different tokens of some texts: how often each occurs, and first where.

    With more than MAX_COUNTED, rare ones are dropped; they are counted anew where they come again.
    """

    # token, count, number (of the first row with it); weight (of its rows) if rows have weights
    table: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={"token": pl.String, "count": pl.Int64, "number": pl.Int64}
        )
    )
    are_pruned: bool = False

    @classmethod
    def of(cls, tokens: pl.Series, numbers: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Count the tokens, List(String), of rows that are numbered and weighted, [rows]."""
        rows = pl.DataFrame({"token": tokens, "number": pl.Series(numbers, dtype=pl.Int64)})
        count = pl.len().cast(pl.Int64)
        if weights is not None:
            rows = rows.with_columns(weight=pl.Series(weights, dtype=pl.Float64))
        found = rows.filter(pl.col("token").list.len() > 0).explode("token").group_by("token")
        aggregates = [count.alias("count"), pl.col("number").min()]
        if weights is not None:
            aggregates.append(pl.col("weight").sum())
        return cls(*_pruned(found.agg(*aggregates)))

    def __add__(self, other: Self) -> Self:
        both = [one.table for one in (self, other) if len(one.table)]
        if len(both) < 2:
            table = both[0] if both else self.table
            return type(self)(table, self.are_pruned or other.are_pruned)
        sums = [pl.col(name).sum() for name in both[0].columns if name in ("count", "weight")]
        merged = pl.concat(both).group_by("token").agg(*sums, pl.col("number").min())
        table, are_pruned = _pruned(merged.select(both[0].columns))
        return type(self)(table, are_pruned or self.are_pruned or other.are_pruned)

    def most_frequent(self, number: int, *, min_count: int) -> list[str]:
        """Return tokens that occur often enough, the most frequent first."""
        by = "weight" if "weight" in self.table.columns else "count"
        often = self.table.filter(pl.col("count") >= min_count)
        return often.sort([by, "token"], descending=[True, False])["token"].head(number).to_list()

    def other_than(self, vocabulary: pl.Series) -> Found:
        """Return how many tokens are in no vocabulary."""
        other = self.table.filter(~pl.col("token").is_in(vocabulary.implode()))
        return Found.of(other)

    @property
    def num_tokens(self) -> int:
        """All of them, but for those that were dropped."""
        return int(self.table["count"].sum())


def _pruned(table: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    if len(table) <= MAX_COUNTED:
        return table, False
    kept = table.sort(["count", "token"], descending=[True, False]).head(_NUM_KEPT)
    return kept, True


@dataclass(frozen=True)
class LengthCounts:
    """How many texts have how many tokens, and the first row with so many."""

    rows: np.ndarray  # int64 [longest + 1]
    numbers: np.ndarray  # int64 [longest + 1], where there are rows

    @classmethod
    def of(cls, lengths: np.ndarray, numbers: np.ndarray, *, at_most: int) -> Self:
        """Count lengths [rows] of rows with numbers; one above `at_most` counts as one more."""
        cut = np.minimum(lengths, at_most + 1)
        rows = np.bincount(cut, minlength=1)
        first = np.full(len(rows), np.iinfo(np.int64).max)
        np.minimum.at(first, cut, numbers)
        return cls(rows, first)

    def __add__(self, other: Self) -> Self:
        short, long = sorted((self, other), key=lambda one: len(one.rows))
        rows, numbers = long.rows.copy(), long.numbers.copy()
        rows[: len(short.rows)] += short.rows
        numbers[: len(short.rows)] = np.minimum(numbers[: len(short.rows)], short.numbers)
        return type(self)(rows, numbers)

    @property
    def longest(self) -> int:
        """The greatest length that there is; 0 without rows."""
        return int(np.flatnonzero(self.rows).max(initial=0))

    def above(self, length: int) -> Found:
        """Return the rows that are longer."""
        count = int(self.rows[length + 1 :].sum())
        return Found(count, int(self.numbers[length + 1 :].min()) if count else 0)


@dataclass(frozen=True)
class TextStatistics:
    """The texts of some rows, those that are not missing."""

    tokens: TokenCounts
    lengths: LengthCounts
    first: str | None  # in alphabetical order; None: there is none
    last: str | None

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.tokens + other.tokens,
            self.lengths + other.lengths,
            min((text for text in (self.first, other.first) if text is not None), default=None),
            max((text for text in (self.last, other.last) if text is not None), default=None),
        )
