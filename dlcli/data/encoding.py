"""Streamed files → encoded rows, block by block."""

import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace

from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples
from dlcli.data.fitted import FittedData
from dlcli.data.kept_rows import KeptRows
from dlcli.data.stream import Reading, Stream
from dlcli.errors import DataError
from dlcli.tables.table import Table


@dataclass(frozen=True)
class EncodedBlock:
    """Some rows of one part, in the order of the file."""

    part: str
    rows: Table
    examples: Examples
    reading: Reading


def encode_blocks(
    fitted: FittedData, stream: Stream, parts: Collection[str]
) -> Iterator[EncodedBlock]:
    """Read the files once more and encode the rows of some parts.

    Raises DataError where a cell is not what it was fitted to.
    """
    started = time.perf_counter()
    for key, source in stream.files.items():
        for block in stream.blocks(key):
            reading = Reading(
                "encoding",
                source.name,
                block.first + len(block.rows),
                time.perf_counter() - started,
            )
            for part, rows in block.tables():
                if part in parts:
                    examples, _ = fitted.encode(rows)
                    yield EncodedBlock(part, rows, examples, reading)


def fill_row_caches(
    fitted: FittedData,
    stream: Stream,
    caches: Mapping[str, RowCache],
    num_rows: Mapping[str, int],
    kept: KeptRows,
) -> Generator[Reading, None, None]:
    """Encode all rows into the caches of their parts, as many as there were when it was fitted.

    The first ones of some parts are kept as they are in the files.
    Raises DataError where there are others now, StorageError where there is no room.
    """
    reading = None
    for block in encode_blocks(fitted, stream, caches):
        if reading is not None and reading.source != block.reading.source:
            yield _over(reading)
        reading = block.reading
        caches[block.part].append(block.examples)
        kept.keep_first(block.part, block.rows)
        yield reading
    for name, cache in caches.items():
        if len(cache) != num_rows[name]:
            raise DataError(
                f"{stream.files['path']}: it changed while it was read: {num_rows[name]:,} {name} "
                f"rows at first, {len(cache):,} now; train again when nothing writes to it"
            )
    if reading is not None:
        yield _over(reading)


def _over(reading: Reading) -> Reading:
    return replace(reading, is_over=True)
