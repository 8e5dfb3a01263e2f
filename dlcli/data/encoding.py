"""Rows of files → encoded rows: streamed ones block by block, held ones part by part."""

import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dlcli.columns.cells.named_files import NamedFiles, UnusableFile
from dlcli.columns.image import FileColumn
from dlcli.data.disk_cache import RowCache
from dlcli.data.fields import Examples
from dlcli.data.fitted import FittedData
from dlcli.data.kept_rows import KeptRows
from dlcli.data.stream import Reading, Stream, drain
from dlcli.errors import DataError
from dlcli.tables.table import Table

_ROWS_AT_ONCE = 256  # decoded between two reports of how far that is
_MAX_BYTES = 2**25  # of encoded rows at once, where files are decoded


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
            of_parts = [(part, rows) for part, rows in block.tables() if part in parts]
            num_left = sum(len(rows) for _, rows in of_parts)
            for part, whole in of_parts:
                for rows in _pieces(fitted, whole):
                    examples, _ = fitted.encode(rows)
                    num_left -= len(rows)
                    now = time.perf_counter() - started
                    num_rows = reading.num_rows - num_left
                    yield EncodedBlock(
                        part, rows, examples, replace(reading, num_rows=num_rows, seconds=now)
                    )


def _pieces(fitted: FittedData, rows: Table) -> Iterator[Table]:
    """Yield rows as they are or, where they become much more than they are, a few at a time."""
    if not fitted.file_columns:
        yield rows
        return
    size = max(1, _MAX_BYTES // sum(field.num_bytes for field in fitted.input_fields))
    for start in range(0, len(rows), size):
        yield rows.take(np.arange(start, min(start + size, len(rows))))


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


class EncodedParts(Mapping[str, Examples]):
    """The parts of held rows, encoded but for the files that their cells name.

    Asking for a part decodes its files, once; what only checks a config decodes nothing.
    """

    def __init__(self, fitted: FittedData) -> None:
        self._fitted = fitted
        self._parts: dict[str, Examples] = {}  # without what is decoded
        self._tables: dict[str, Table] = {}  # of the parts that are not decoded yet

    def add(self, name: str, examples: Examples, rows: Table) -> None:
        """Add a part that is encoded but for its files, which were looked at."""
        self._parts[name] = examples
        if self._fitted.file_columns:
            self._tables[name] = rows

    def __getitem__(self, name: str) -> Examples:
        drain(self._decoding(name))
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def some(self, name: str, chosen: np.ndarray) -> Examples:
        """Return some rows of a part, by their indices; no other files are decoded."""
        examples = self._parts[name].take(chosen)
        if name not in self._tables:
            return examples
        rows = self._tables[name].take(chosen)
        return drain(_decoded(self._fitted.file_columns, examples, rows, self._missing_values))

    def decoding(self) -> Generator[Reading, None, None]:
        """Decode the files of all parts; DataError where one can't be used."""
        for name in self._parts:
            yield from self._decoding(name)

    @property
    def _missing_values(self) -> tuple[str, ...]:
        return self._fitted.missing_values

    def _decoding(self, name: str) -> Generator[Reading, None, None]:
        if name in self._tables:
            rows, columns = self._tables[name], self._fitted.file_columns
            examples = self._parts[name]
            self._parts[name] = yield from _decoded(columns, examples, rows, self._missing_values)
            del self._tables[name]


def _decoded(
    columns: list[FileColumn], examples: Examples, rows: Table, missing_values: tuple[str, ...]
) -> Generator[Reading, None, Examples]:
    """Return rows with the fields of columns whose files are decoded; DataError."""
    started = time.perf_counter()
    inputs = dict(examples.inputs)
    for column in columns:
        values = np.zeros((len(rows), *column.pixels.shape), np.uint8)
        found, purpose = NamedFiles(), f"decoding '{column.name}'"
        for row, value in enumerate(column.decode(rows, missing_values)):
            if isinstance(value, UnusableFile):
                found += NamedFiles.of_one(value)
            else:
                values[row] = value
            if row % _ROWS_AT_ONCE == _ROWS_AT_ONCE - 1:
                yield Reading(purpose, rows.source, row + 1, time.perf_counter() - started)
        yield Reading(purpose, rows.source, len(rows), time.perf_counter() - started, is_over=True)
        if found.num_unusable:
            raise column.refusal(rows, found)
        inputs[column.field] = values
    return replace(examples, inputs=inputs)
