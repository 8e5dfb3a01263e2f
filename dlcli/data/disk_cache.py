"""Encoded rows on disk, in a file without a name: whatever happens, the system removes it."""

import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.errors import StorageError


class RowCache:
    """The rows of one part: appended in their order, then read from wherever they are wanted."""

    def __init__(self, folder: Path, width: int, target_type: np.dtype) -> None:
        self._folder = folder
        self._num_rows = 0
        self._features = _Column(folder, np.dtype(np.float32), width)
        self._targets = _Column(folder, target_type, 1)

    def __len__(self) -> int:
        return self._num_rows

    @property
    def width(self) -> int:
        """Numbers a row of features."""
        return self._features.width

    @property
    def target_type(self) -> np.dtype:
        """Of the targets: int64 class indices, float32 scaled numbers."""
        return self._targets.dtype

    def append(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Add rows, float32 [rows, width] and their targets [rows]; StorageError."""
        self._features.append(features)
        self._targets.append(targets)
        self._num_rows += len(targets)

    def read_into(self, start: int, features: np.ndarray, targets: np.ndarray) -> None:
        """Fill arrays, [rows, width] and [rows], with the rows from `start` on; StorageError."""
        self._features.read_into(start, features)
        self._targets.read_into(start, targets)

    def close(self) -> None:
        """Let go of the disk space."""
        self._features.close()
        self._targets.close()


def target_type_of(fitted: FittedData) -> np.dtype:
    """Return the type that a target is encoded as."""
    return np.dtype(np.int64 if fitted.target.kind == "classes" else np.float32)


@contextmanager
def open_row_caches(
    folder: Path, fitted: FittedData, num_rows: Mapping[str, int]
) -> Iterator[dict[str, RowCache]]:
    """Open a spool for each part, with room for so many rows; StorageError where there is none."""
    width, target_type = fitted.signature().num_inputs, target_type_of(fitted)
    bytes_a_row = width * np.dtype(np.float32).itemsize + target_type.itemsize
    needed = sum(num_rows.values()) * bytes_a_row
    with _explained(folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: too little room for the encoded rows: they take {needed / 2**20:,.0f} MiB, "
            f"and {free / 2**20:,.0f} MiB are free; make room, or name a --run-dir on another disk"
        )
    spools: dict[str, RowCache] = {}
    try:
        for name in num_rows:
            spools[name] = RowCache(folder, width, target_type)
        yield spools
    finally:
        close_all(spools.values())


def close_all(spools: Iterable[RowCache]) -> None:
    """Let go of the disk space of several."""
    for spool in spools:
        spool.close()


class _Column:
    """Numbers, `width` a row."""

    def __init__(self, folder: Path, dtype: np.dtype, width: int) -> None:
        self.dtype, self.width = dtype, width
        self._folder = folder
        self._row_bytes = dtype.itemsize * width
        with _explained(folder):
            # Not where temporary files usually are: that can be memory.
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._file: FileIO = file

    def append(self, rows: np.ndarray) -> None:
        assert rows.dtype == self.dtype, "it is read back as that"
        left = memoryview(np.ascontiguousarray(rows).data).cast("B")
        with _explained(self._folder):
            while left:
                left = left[self._file.write(left) :]

    def read_into(self, start: int, rows: np.ndarray) -> None:
        left = memoryview(rows.data).cast("B")
        with _explained(self._folder):
            self._file.seek(start * self._row_bytes)
            while left:
                count = self._file.readinto(left)
                assert count, "nobody reads more than was written"
                left = left[count:]

    def close(self) -> None:
        self._file.close()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += "; make room, or name a --run-dir on another disk"
        raise StorageError(f"{folder}: cannot keep the encoded rows there: {reason}") from None
