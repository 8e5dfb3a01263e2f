"""Rows drawn at random."""

import numpy as np

from dlcli.data.splits.parts import Split
from dlcli.seeds import derive_seed


def split_by_shares(
    num_rows: int, *, validation: float, test: float, seed: int, strata: np.ndarray | None
) -> Split:
    """Draw the parts at random.

    With `strata` (a class number for each row, int64 [rows]) each part has every class in its
    share, as nearly as whole rows allow, and every class keeps at least one training row.
    """
    random = np.random.default_rng(derive_seed(seed, "split"))
    shuffled = random.permutation(num_rows)
    groups = np.zeros(num_rows, np.int64) if strata is None else strata
    members = [
        shuffled[groups[shuffled] == group] for group in range(groups.min(), groups.max() + 1)
    ]
    num_test = _allot([len(rows) for rows in members], test)
    num_validation = _allot(
        [len(rows) for rows in members],
        validation,
        kept=[count + 1 for count in num_test],
    )
    cuts = [
        (rows[:tests], rows[tests : tests + validations], rows[tests + validations :])
        for rows, tests, validations in zip(members, num_test, num_validation, strict=True)
    ]
    tests, validations, trains = (np.sort(np.concatenate(part)) for part in zip(*cuts, strict=True))
    return Split(trains, validations, tests)


def draw_split(first: int, num_rows: int, *, validation: float, test: float, seed: int) -> Split:
    """Draw a part for each of the rows from `first` on, independently: for streamed rows.

    Which part a row falls into is a function of the seed and the row's index in the file.
    """
    drawn = draw_rows(first, num_rows, seed=derive_seed(seed, "split"))
    is_test = drawn < test
    is_validation = ~is_test & (drawn < test + validation)
    return Split(*map(np.flatnonzero, (~is_test & ~is_validation, is_validation, is_test)))


def draw_rows(first: int, num_rows: int, *, seed: int) -> np.ndarray:
    """Return a number from 0 to 1 for each of the rows from `first` on, float64 [rows].

    Each is a function of the seed and the row's index alone, whichever rows are read with it.
    """
    generator = np.random.PCG64(seed)
    generator.advance(first)
    return np.random.Generator(generator).random(num_rows)


def _allot(sizes: list[int], share: float, kept: list[int] | None = None) -> list[int]:
    """Return how many rows each group gives: round(share × all), by largest remainders.

    A group never gives its last rows: 1, or as many as `kept` says.
    """
    spare = [size - keep for size, keep in zip(sizes, kept or [1] * len(sizes), strict=True)]
    exact = [share * size for size in sizes]
    given = [min(int(wanted), max(limit, 0)) for wanted, limit in zip(exact, spare, strict=True)]
    by_remainder = sorted(range(len(sizes)), key=lambda group: given[group] - exact[group])
    for group in by_remainder:
        if sum(given) >= round(share * sum(sizes)):
            break
        if given[group] < spare[group]:
            given[group] += 1
    return given
