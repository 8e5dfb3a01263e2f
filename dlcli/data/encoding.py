"""Streamed files → encoded rows, block by block."""

import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dlcli.data.disk_cache import RowCache
from dlcli.data.fitted import FittedData
from dlcli.data.stream import Reading, Stream
from dlcli.errors import DataError


@dataclass(frozen=True)
class EncodedBlock:
    """Some rows of one part, in the order of the file."""

    part: str
    features: np.ndarray  # float32 [rows, num_inputs]
    targets: np.ndarray  # int64 class indices or float32 scaled numbers, [rows]
    reading: Reading


def encode_blocks(
    fitted: FittedData, stream: Stream, parts: Collection[str]
) -> Iterator[EncodedBlock]:
    """Read the files once more and encode the rows of some parts.

    Raises DataError where a cell is not what it was fitted to.
    """
    started = time.perf_counter()
    for key, path in stream.files.items():
        for block in stream.blocks(key):
            reading = Reading(
                "encoding", path, block.first + len(block.rows), time.perf_counter() - started
            )
            for part, rows in block.tables():
                if part in parts:
                    features, _ = fitted.encode_features(rows)
                    yield EncodedBlock(part, features, fitted.encode_target(rows), reading)


def fill_row_caches(
    fitted: FittedData, stream: Stream, spools: Mapping[str, RowCache], num_rows: Mapping[str, int]
) -> Generator[Reading, None, None]:
    """Encode all rows into the spools of their parts, as many as there were when it was fitted.

    Raises DataError where there are others now, StorageError where there is no room.
    """
    reading = None
    for block in encode_blocks(fitted, stream, spools):
        if reading is not None and reading.file != block.reading.file:
            yield _over(reading)
        reading = block.reading
        spools[block.part].append(block.features, block.targets)
        yield reading
    for name, spool in spools.items():
        if len(spool) != num_rows[name]:
            raise DataError(
                f"{stream.files['path']}: it changed while it was read: {num_rows[name]:,} {name} "
                f"rows at first, {len(spool):,} now; train again when nothing writes to it"
            )
    if reading is not None:
        yield _over(reading)


def _over(reading: Reading) -> Reading:
    return Reading(reading.purpose, reading.file, reading.num_rows, reading.seconds, is_over=True)
