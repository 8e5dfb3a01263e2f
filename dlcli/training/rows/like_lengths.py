"""An order in which rows of like lengths are in the same batch, and how wide a batch is."""

import numpy as np

_GROUP_BATCHES = 50  # whose rows are sorted together: the more, the more alike are a batch's rows


def by_length(lengths: np.ndarray, *, batch_size: int, seed: int, first: int = 0) -> np.ndarray:
    """Return an order of rows, int64 [rows], in which those of a batch have like lengths.

    Groups of batches are sorted, and cut into batches, whose order is drawn by the seed. The
    `first` rows, which end a batch that has begun, and those that are left for a last batch stay
    where they are: no row is more likely to be among them than another.
    """
    order = np.arange(len(lengths))
    num_batches = max(0, len(lengths) - first) // batch_size
    if num_batches < 2:
        return order
    generator = np.random.default_rng(seed)
    batches = order[first : first + num_batches * batch_size].reshape(num_batches, batch_size)
    for group in np.array_split(batches, -(-num_batches // _GROUP_BATCHES)):
        rows = group.ravel()
        alike = rows[np.argsort(lengths[rows], kind="stable")].reshape(group.shape)
        group[:] = alike[generator.permutation(len(alike))]
    return order


def width_for(longest: int) -> int:
    """Return the width of a batch with such a longest row: few widths, of which none is far off.

    A multiple of 8, or of an eighth of the power of two above: recorded steps repeat.
    """
    step = max(8, 1 << max(0, (longest - 1).bit_length() - 4))
    return max(1, -(-longest // step)) * step


def num_widths(longest: int) -> float:
    """Return how wide batches of all widths are together, as a multiple of the longest row."""
    return sum({width_for(length) for length in range(1, longest + 1)}) / longest
