"""Which rows each fold holds out: drawn by classes, in groups, or later in time.

Numbers alone: what the rows are, `rows.py` knows.
"""

from dataclasses import dataclass

import numpy as np

from dlcli.seeds import derive_seed

_SIZE_WEIGHT = 4.0  # of the number of rows, beside those of each class


@dataclass(frozen=True)
class Fold:
    """Indices of the rows that train and of those that are held out, rising, int64."""

    train: np.ndarray
    validation: np.ndarray


def draw_folds(
    num_rows: int, num_folds: int, *, seed: int, strata: np.ndarray | None
) -> list[Fold]:
    """Draw folds at random: each row is held out once.

    With `strata` (a class number for each row, int64 [rows]), each fold has as many rows of a class
    as any other, to within one, and as many rows in all, to within one: rows are shuffled, sorted
    by class and dealt out like cards.
    """
    random = np.random.default_rng(derive_seed(seed, "folds"))
    dealt = random.permutation(num_rows)
    if strata is not None:
        dealt = dealt[np.argsort(strata[dealt], kind="stable")]
    fold_of = np.empty(num_rows, np.int64)
    fold_of[dealt] = random.permutation(num_folds)[np.arange(num_rows) % num_folds]
    return _folds(fold_of, num_folds)


def draw_group_folds(
    groups: np.ndarray, num_folds: int, *, seed: int, strata: np.ndarray | None
) -> list[Fold]:
    """Draw folds of whole groups at random: each row is held out once, with all of its group.

    `groups` [rows] are numbers from 0, `num_folds` of them at least. The largest group comes first,
    and each goes to the fold that has least of its classes and of rows, so that folds are as alike
    as groups allow.
    """
    random = np.random.default_rng(derive_seed(seed, "folds"))
    classes = np.zeros(len(groups), np.int64) if strata is None else strata - strata.min()
    num_classes = int(classes.max()) + 1
    pairs, counts = np.unique(groups * num_classes + classes, return_counts=True)
    of_group, of_class = np.divmod(pairs, num_classes)
    starts = np.searchsorted(of_group, np.arange(int(groups.max()) + 2))
    sizes = np.bincount(groups)
    shuffled = random.permutation(len(sizes))
    largest_first = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    per_row = 1 / np.bincount(classes, minlength=num_classes).clip(1)
    held = np.zeros((num_folds, num_classes))  # rows of each class
    totals = np.zeros(num_folds)
    fold_of_group = np.empty(len(sizes), np.int64)
    for group in largest_first:
        some = slice(starts[group], starts[group + 1])
        its_classes, its_rows = of_class[some], counts[some]
        cost = held[:, its_classes] @ (its_rows * per_row[its_classes])
        cost += _SIZE_WEIGHT * totals * (sizes[group] / len(groups))
        fold = int(cost.argmin())
        fold_of_group[group] = fold
        held[fold, its_classes] += its_rows
        totals[fold] += sizes[group]
    return _folds(random.permutation(num_folds)[fold_of_group][groups], num_folds)


def chain_folds(times: np.ndarray, num_folds: int) -> list[Fold]:
    """Cut rows by their times, [rows], `num_folds` + 1 different ones at least: forward chaining.

    The rows are `num_folds` + 1 blocks in the order of their times, nearly as long; rows of one
    time stay together. A fold holds out a block and trains on all before it, as scikit-learn's
    TimeSeriesSplit does, so rows of the first block are never held out.
    """
    distinct, places = np.unique(times, return_inverse=True)
    rows_before = np.cumsum(np.bincount(places))  # [distinct], those of this time among them
    firsts: list[int] = []  # the time that each block but the first begins with
    for block in range(1, num_folds + 1):
        least = firsts[-1] + 1 if firsts else 1
        most = len(distinct) - (num_folds + 1 - block)  # a time is left for each block after it
        wanted = block * len(times) / (num_folds + 1)
        off = np.abs(rows_before[least - 1 : most] - wanted)
        firsts.append(least + int(off.argmin()))
    block_of = np.searchsorted(np.array(firsts), places, side="right")
    return [
        Fold(np.flatnonzero(block_of < block), np.flatnonzero(block_of == block))
        for block in range(1, num_folds + 1)
    ]


def _folds(fold_of: np.ndarray, num_folds: int) -> list[Fold]:
    return [
        Fold(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold))
        for fold in range(num_folds)
    ]
