"""Examples as named fields: arrays of any type and shape, inputs and targets alike."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]  # by field name


@dataclass(frozen=True)
class Field:
    """What each row holds under one name."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]  # of a row's value, or of each element where rows differ in length
    is_ragged: bool = False  # a row holds a number of elements of its own, none too

    @property
    def size(self) -> int:
        """Numbers in a row's value, or in an element of a ragged field."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Bytes of a row's value, or of an element of a ragged field."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True)
class Slots:
    """Which numbers of which field hold a column, or a part of several."""

    field: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Examples:
    """Encoded rows.

    An array is [rows, *shape]; that of a ragged field is [elements, *shape], the elements of the
    first row first, with each row's number of elements in `lengths`.
    """

    inputs: Arrays
    targets: Arrays
    num_rows: int
    lengths: Arrays = field(default_factory=dict)  # int64 [rows], of ragged fields alone

    def __len__(self) -> int:
        return self.num_rows

    def take(self, rows: np.ndarray) -> "Examples":
        """Return some rows, by their indices, int64 [chosen]."""
        elements = {name: _elements(lengths, rows) for name, lengths in self.lengths.items()}

        def taken(arrays: Arrays) -> Arrays:
            return {name: array[elements.get(name, rows)] for name, array in arrays.items()}

        return Examples(
            taken(self.inputs),
            taken(self.targets),
            len(rows),
            {name: lengths[rows] for name, lengths in self.lengths.items()},
        )

    def row_bytes(self) -> Iterator[bytes]:
        """Yield all of each row as bytes: those of equal rows are equal."""
        columns: list[Iterable[np.ndarray]] = list(self.lengths.values())
        for name, array in {**self.inputs, **self.targets}.items():
            if name in self.lengths:
                columns.append(np.split(array, np.cumsum(self.lengths[name]))[:-1])
            else:
                columns.append(array)
        for values in zip(*columns, strict=True):
            yield b"".join(value.tobytes() for value in values)


def concatenate(blocks: Sequence[Examples]) -> Examples:
    """Return the rows of several blocks of the same fields, one at least."""

    def joined(arrays_of: Callable[[Examples], Arrays]) -> Arrays:
        return {
            name: np.concatenate([arrays_of(block)[name] for block in blocks])
            for name in arrays_of(blocks[0])
        }

    return Examples(
        joined(lambda block: block.inputs),
        joined(lambda block: block.targets),
        sum(map(len, blocks)),
        joined(lambda block: block.lengths),
    )


def lengths_of(name: str) -> str:
    """Return under which name a padded field's lengths are."""
    return f"{name}.lengths"


def pad(values: np.ndarray, lengths: np.ndarray, longest: int) -> np.ndarray:
    """Return a ragged field's values as [rows, longest, *shape], zeros after a row's own."""
    padded = np.zeros((len(lengths), longest, *values.shape[1:]), values.dtype)
    padded[np.arange(longest) < lengths[:, None]] = values
    return padded


def _elements(lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the indices of the elements of some rows, int64 [elements]."""
    starts, chosen = np.cumsum(lengths) - lengths, lengths[rows]
    ends = np.cumsum(chosen)
    shifts = np.repeat(starts[rows] - (ends - chosen), chosen)
    return shifts + np.arange(len(shifts))
