"""Rows drawn in groups: all rows of a group are in one part."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dlcli.columns.cells import read_cells, to_labels
from dlcli.data.splits.parts import PARTS, Split, wanted_parts
from dlcli.data.splits.shares import draw_rows
from dlcli.errors import DataError, counted
from dlcli.seeds import derive_seed
from dlcli.tables.table import Table

_MAX_DRAWS = 20  # of which the one with the nearest shares is taken
_MAX_DRAWN_GROUPS = 1_000_000  # in all draws together: so many come near the shares at once
_SIZE_WEIGHT = 4.0  # of the shares of all rows, beside those of each class


def group_labels(table: Table, column: str) -> pl.Series:
    """Return the group of each row as text, null where it is missing; DataError."""
    return to_labels(read_cells(table, column, table.missing_values or ()))


def split_by_groups(
    table: Table,
    column: str,
    *,
    validation: float,
    test: float,
    seed: int,
    strata: np.ndarray | None,
) -> Split:
    """Draw whole groups at random, so that the shares of rows are near those that are wanted.

    Of several draws, the one is taken whose shares, of all rows and of each class in `strata` (a
    class number for each row, int64 [rows]), are nearest. Each part that is wanted has a group. A
    row without a group is one of its own. Raises DataError where there are fewer groups than parts.
    """
    codes = group_codes(table, column)
    parts = wanted_parts(validation, test)
    groups = _Groups.of(codes, np.zeros(len(codes), np.int64) if strata is None else strata)
    if len(groups.sizes) < len(parts):
        raise too_few_groups(table.source, column, len(groups.sizes), validation, test)
    shares = np.array([1 - validation - test, validation, test])
    random = np.random.default_rng(derive_seed(seed, "split"))
    num_draws = max(1, min(_MAX_DRAWS, _MAX_DRAWN_GROUPS // len(groups.sizes)))
    draws = [groups.draw(shares, random) for _ in range(num_draws)]
    best = min(draws, key=lambda drawn: groups.distance(drawn, shares))
    return Split.of(best[codes])


def draw_groups(
    labels: pl.Series, first: int, *, validation: float, test: float, seed: int
) -> Split:
    """Draw a part for the group of each of the rows from `first` on: for streamed rows.

    Which part a group falls into is a function of the seed and its label, whatever other rows
    there are. A row without a group is one of its own.
    """
    seed = derive_seed(seed, "split")
    drawn = draw_rows(first, len(labels), seed=seed)
    known = labels.is_not_null().to_numpy()
    if known.any():
        names = labels.drop_nulls().unique()
        numbers = pl.Series(_drawn_numbers(names.to_list(), seed))
        drawn[known] = labels.drop_nulls().replace_strict(names, numbers).to_numpy()
    return Split.of(np.where(drawn < test, 2, np.where(drawn < test + validation, 1, 0)))


def group_note(labels: pl.Series, parts: Mapping[str, np.ndarray]) -> str:
    """Say how many groups each part has; those without a group aren't counted."""
    counts = ", ".join(
        f"{labels.gather(rows).drop_nulls().n_unique():,} {part}"
        for part, rows in parts.items()
        if len(rows)
    )
    return f"each '{labels.name}' is in one part only: {counts} (data.split.group)"


def too_few_groups(
    source: str, column: str, num_groups: int, validation: float, test: float
) -> DataError:
    """Return the error for fewer groups than parts."""
    parts, few = wanted_parts(validation, test), counted(num_groups, "group")
    return DataError(
        f"{source}: '{column}' has {few}, too few for the parts {', '.join(parts)}, which share no "
        "group: take a fraction out of data.split, add rows of other groups, or name another "
        "column in data.split.group"
    )


def _drawn_numbers(labels: Sequence[str], seed: int) -> np.ndarray:
    """Return a number from 0 to 1 for each label, the same in every version of every library.

    It is the label's CRC-32, mixed with the seed as in SplitMix64 (Steele, Lea and Flood 2014).
    """
    mixed = np.fromiter((zlib.crc32(label.encode()) for label in labels), np.uint64, len(labels))
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) / 2.0**53


def group_codes(table: Table, column: str) -> np.ndarray:
    """Return a number for each row's group, from 0, int64 [rows]; DataError.

    Rows without a group have numbers of their own.
    """
    labels = group_labels(table, column)
    codes = labels.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().copy()
    gaps = codes == 0
    codes[gaps] = codes.max(initial=0) + 1 + np.arange(gaps.sum())
    return codes - 1


@dataclass(frozen=True)
class _Groups:
    """Groups, and how many rows of which class each has."""

    sizes: np.ndarray  # [groups] rows
    main_class: np.ndarray  # [groups] the class that most of its rows have
    pair_group: np.ndarray  # [pairs]: of each group and class that occur together, the group,
    pair_class: np.ndarray  # the class,
    pair_rows: np.ndarray  # and how many rows they have

    @classmethod
    def of(cls, codes: np.ndarray, strata: np.ndarray) -> "_Groups":
        num_classes = int(strata.max()) + 1
        pairs, rows = np.unique(codes * num_classes + strata, return_counts=True)
        group, of_class = np.divmod(pairs, num_classes)
        main = np.zeros(int(codes.max()) + 1, np.int64)
        by_rows = np.argsort(rows, kind="stable")
        main[group[by_rows]] = of_class[by_rows]  # the last one, of most rows, stays
        return cls(np.bincount(codes), main, group, of_class, rows)

    def draw(self, shares: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the index in PARTS of each group's part, [groups]; `shares` [parts] of rows."""
        parts = np.zeros(len(self.sizes), np.int64)
        shuffled = random.permutation(len(parts))
        by_class = shuffled[np.argsort(self.main_class[shuffled], kind="stable")]
        strata = np.split(by_class, np.flatnonzero(np.diff(self.main_class[by_class])) + 1)
        for part in (2, 1):
            lacking = 0.0
            for members in strata if shares[part] else ():
                lacking += shares[part] * self.sizes[members].sum()
                free = members[parts[members] == 0][1:]  # one trains, so that its class is known
                taken = free[_fill(self.sizes[free], lacking)]
                parts[taken] = part
                lacking -= self.sizes[taken].sum()
        self._fill_empty(parts, shares)
        return parts

    def _fill_empty(self, parts: np.ndarray, shares: np.ndarray) -> None:
        """Give parts that are wanted and have no group the smallest one of the part with most."""
        for part in np.flatnonzero(shares):
            if not (parts == part).any():
                donor = np.bincount(parts, minlength=len(PARTS)).argmax()
                given = np.flatnonzero(parts == donor)
                parts[given[self.sizes[given].argmin()]] = part

    def distance(self, parts: np.ndarray, shares: np.ndarray) -> tuple[int, float]:
        """Return how many classes lack training rows, and how far shares are from those wanted."""
        num_classes = int(self.pair_class.max()) + 1
        places = parts[self.pair_group] * num_classes + self.pair_class
        found = np.bincount(places, self.pair_rows, len(PARTS) * num_classes)
        found = found.reshape(len(PARTS), num_classes)
        of_class = np.maximum(found.sum(axis=0), 1)
        by_class = ((found - shares[:, None] * of_class) ** 2 / of_class).sum()
        off = found.sum(axis=1) - shares * found.sum()
        overall = (off**2).sum() / found.sum()
        return int((found[0] == 0).sum()), float(by_class + _SIZE_WEIGHT * overall)


def _fill(sizes: np.ndarray, wanted: float) -> np.ndarray:
    """Return the indices of groups that together have nearly so many rows, the first ones first.

    Those are taken that still fit; then one more, the smallest, where that comes nearer.
    """
    chosen, left = [], np.arange(len(sizes))
    lacking = wanted + 1e-6  # of a row: shares are no exact fractions
    while len(left := left[sizes[left] <= lacking]):
        total = np.cumsum(sizes[left])
        num_fitting = int(np.searchsorted(total, lacking, side="right"))
        chosen.append(left[:num_fitting])
        lacking -= float(total[num_fitting - 1])
        left = left[num_fitting + 1 :]
    taken = np.concatenate([np.empty(0, np.int64), *chosen])
    is_left = np.ones(len(sizes), bool)
    is_left[taken] = False
    others = np.flatnonzero(is_left)
    if len(others):
        smallest = others[sizes[others].argmin()]
        if sizes[smallest] - lacking < lacking:
            taken = np.append(taken, smallest)
    return taken
