"""Encoded rows on disk, in files without a name: whatever happens, the system removes them."""

import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np

from dlcli.data.fields import Examples, Field
from dlcli.data.fitted import FittedData
from dlcli.errors import StorageError

_LENGTH = np.dtype(np.int64)  # of a ragged row, and of where it ends


class RowCache:
    """The rows of one part, field by field: appended in their order, then read from anywhere."""

    def __init__(self, folder: Path, inputs: Sequence[Field], targets: Sequence[Field]) -> None:
        """Make a file for each field, and one more for where the rows of a ragged one end."""
        self.inputs, self.targets = tuple(inputs), tuple(targets)
        self._num_rows = 0
        self._files = {field.name: _open(folder, field) for field in (*inputs, *targets)}

    def __len__(self) -> int:
        return self._num_rows

    @property
    def input_bytes(self) -> int:
        """Bytes of a row's inputs; those of the longest row where a field is ragged."""
        longest = self.longest
        return sum(field.num_bytes * longest.get(field.name, 1) for field in self.inputs)

    @property
    def longest(self) -> dict[str, int]:
        """The number of elements of the longest row, of each ragged field."""
        files = self._files.items()
        return {name: file.longest for name, file in files if isinstance(file, _RaggedFile)}

    def append(self, examples: Examples) -> None:
        """Add rows; StorageError."""
        for name, array in {**examples.inputs, **examples.targets}.items():
            file = self._files[name]
            if isinstance(file, _RaggedFile):
                file.append(array, examples.lengths[name])
            else:
                file.append(array)
        self._num_rows += len(examples)

    def read(self, chunks: Sequence[tuple[int, int]]) -> Examples:
        """Read rows that stand together, chunk by chunk: the first one, the one after the last.

        Raises StorageError.
        """
        lengths: dict[str, np.ndarray] = {}

        def read(fields: tuple[Field, ...]) -> dict[str, np.ndarray]:
            arrays = {}
            for name, file in ((field.name, self._files[field.name]) for field in fields):
                if isinstance(file, _RaggedFile):
                    arrays[name], lengths[name] = file.read(chunks)
                else:
                    arrays[name] = file.read(chunks)
            return arrays

        return Examples(read(self.inputs), read(self.targets), _num_rows(chunks), lengths)

    def close(self) -> None:
        """Let go of the disk space."""
        for file in self._files.values():
            file.close()


@contextmanager
def open_row_caches(
    folder: Path, fitted: FittedData, num_rows: Mapping[str, int]
) -> Iterator[dict[str, RowCache]]:
    """Open a cache for each part, with room for so many rows; StorageError where there is none.

    How long the rows of ragged fields are, nobody knows before: for those, only the index counts.
    """
    inputs, targets = fitted.input_fields, fitted.target_fields
    needed = sum(num_rows.values()) * sum(
        _LENGTH.itemsize if field.is_ragged else field.num_bytes for field in (*inputs, *targets)
    )
    with _explained(folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: too little room for the encoded rows: they take {needed / 2**20:,.0f} MiB, "
            f"and {free / 2**20:,.0f} MiB are free; make room, or name a --run-dir on another disk"
        )
    caches: dict[str, RowCache] = {}
    try:
        for name in num_rows:
            caches[name] = RowCache(folder, inputs, targets)
        yield caches
    finally:
        close_all(caches.values())


def close_all(caches: Iterable[RowCache]) -> None:
    """Let go of the disk space of several."""
    for cache in caches:
        cache.close()


class _File:
    """Values of one type and shape, one after the other."""

    def __init__(self, folder: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self._folder, self._dtype, self._shape = folder, dtype, shape
        self._value_bytes = Field("", dtype, shape).num_bytes
        with _explained(folder):
            # Not where temporary files usually are: that can be memory.
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._file: FileIO = file

    def append(self, values: np.ndarray) -> None:
        assert values.dtype == self._dtype, "it is read back as that"
        assert values.shape[1:] == self._shape, "it is read back as that"
        left = _bytes_of(np.ascontiguousarray(values))
        with _explained(self._folder):
            while left:
                left = left[self._file.write(left) :]

    def read(self, chunks: Sequence[tuple[int, int]]) -> np.ndarray:
        values = np.empty((_num_rows(chunks), *self._shape), self._dtype)
        left = _bytes_of(values)
        with _explained(self._folder):
            for start, stop in chunks:
                self._file.seek(start * self._value_bytes)
                end = len(left) - (stop - start) * self._value_bytes
                while len(left) > end:
                    count = self._file.readinto(left[: len(left) - end])
                    assert count, "nobody reads more than was written"
                    left = left[count:]
        return values

    def close(self) -> None:
        self._file.close()


class _RaggedFile:
    """Elements, those of the first row first, and an index of where each row's begin and end."""

    def __init__(self, folder: Path, field: Field) -> None:
        self.longest = 0
        self._elements = _File(folder, field.dtype, field.shape)
        self._ends = _File(folder, _LENGTH, ())
        self._ends.append(np.zeros(1, _LENGTH))
        self._num_elements = 0

    def append(self, values: np.ndarray, lengths: np.ndarray) -> None:
        assert len(values) == lengths.sum(), "each element belongs to a row"
        self._elements.append(values)
        self._ends.append(self._num_elements + np.cumsum(lengths, dtype=_LENGTH))
        self._num_elements += len(values)
        self.longest = max(self.longest, int(lengths.max(initial=0)))

    def read(self, chunks: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Return elements and the lengths of their rows, int64 [rows]."""
        bounds = [self._ends.read([(start, stop + 1)]) for start, stop in chunks]
        elements = self._elements.read([(int(ends[0]), int(ends[-1])) for ends in bounds])
        lengths = [np.diff(ends) for ends in bounds]
        return elements, np.concatenate([np.empty(0, _LENGTH), *lengths])

    def close(self) -> None:
        self._elements.close()
        self._ends.close()


def _open(folder: Path, field: Field) -> _File | _RaggedFile:
    if field.is_ragged:
        return _RaggedFile(folder, field)
    return _File(folder, field.dtype, field.shape)


def _bytes_of(values: np.ndarray) -> memoryview:
    """Return the memory of an array in one piece."""
    return values.reshape(-1).view(np.uint8).data


def _num_rows(chunks: Sequence[tuple[int, int]]) -> int:
    return sum(stop - start for start, stop in chunks)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += "; make room, or name a --run-dir on another disk"
        raise StorageError(f"{folder}: cannot keep the encoded rows there: {reason}") from None
