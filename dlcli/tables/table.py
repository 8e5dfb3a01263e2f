"""A table in memory, with the place of each row in the file that it came from."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from dlcli.errors import DataError, suggest
from dlcli.tables.names import normalise_names
from dlcli.tables.notation.notation import PLAIN_NOTATION, Notation

_PANDAS_INDEX = re.compile(r"__index_level_[0-9]+__")
_FEW_ROWS = 100_000
_MAX_SHOWN = 20  # columns that a message names
_ROWS_OF_FILE = 2**40  # by which the numbers of rows in several files are apart


def number_in(index: int, numbers: np.ndarray) -> np.ndarray:
    """Return the numbers of rows in the file with an index, of several; unique in all of them."""
    return numbers + index * _ROWS_OF_FILE


def place_of(source: str, files: Sequence[str], unit: str, number: int) -> str:
    """Say where the row with a number stands: `data/x.csv, line 17`."""
    return f"{_file_of(files, number) or source}, {unit} {number % _ROWS_OF_FILE}"


def position_of(files: Sequence[str], unit: str, number: int) -> str:
    """Say where the row with a number stands within its table: `line 17`."""
    return place_of("", files, unit, number) if files else f"{unit} {number}"


def _file_of(files: Sequence[str], number: int) -> str:
    return files[number // _ROWS_OF_FILE] if files else ""


def for_polars(numbers: np.ndarray) -> np.ndarray | list[int]:
    """Return whole numbers [rows] as polars takes them soonest: few of them as a list.

    For an array it imports numpy.ma, which takes longer than a short array saves.
    """
    return numbers.tolist() if len(numbers) < _FEW_ROWS else numbers


def more_rows(count: int) -> str:
    """Say, after the first of `count` rows, that there are more."""
    if count == 1:
        return ""
    return f", and {count - 1} more such row{'s' if count > 2 else ''}"


class TextDialect(Protocol):
    """How a text file is written."""

    @property
    def separator(self) -> str:
        """What separates its cells."""

    @property
    def num_placed(self) -> int | None:
        """How many columns are called by their place; None: they have names."""

    def settings(self) -> Mapping[str, object]:
        """Return all that is known of how it is written, by the keys of a config's `data`."""

    def findings(self) -> Iterator[tuple[str, object, str]]:
        """Yield what was recognised and is not as in a plain CSV file: key, value, words."""

    def header_hint(self) -> str | None:
        """Say so where the first line was taken for data."""

    def note(self) -> str | None:
        """Say what was recognised, and the keys that override it; None of a plain file."""


class MisreadError(DataError):
    """A column with a cell that can be read in two ways, or in none of the file's."""


@dataclass(frozen=True)
class Table:
    """Columns by name, and for each row its number in the file, counted from 1.

    From a CSV file every column is text, as it stands there, and `unit` is "line" (the header is
    line 1). From a Parquet file columns have their types, and `unit` is "row". Rows of several
    files are numbered as `number_in` does. Names of columns are trimmed and in the Unicode form
    NFC; `written` has those that the file writes otherwise.
    """

    frame: pl.DataFrame
    source: str
    numbers: np.ndarray  # [rows] int64
    unit: str
    missing_values: tuple[str, ...] | None = None  # that are null in the frame; None: as it came
    files: tuple[str, ...] = ()  # of several: their names, by what `number_in` took for index
    written: Mapping[str, str] = field(default_factory=dict)  # names as the file has them
    has_exponents: bool = True  # whether there may be text like 1E5; False: there is none
    unnamed: tuple[str, ...] = ()  # columns that have no name in the file
    notation: Notation = PLAIN_NOTATION  # how text writes numbers and dates
    dialect: TextDialect | None = None  # how a text file is written
    notes: tuple[str, ...] = ()  # what else was chosen or recognised as the file was read
    misread: Mapping[str, str] = field(default_factory=dict)  # columns that can't be read, and why
    labels: frozenset[str] = frozenset()  # columns whose cells are names, whatever they look like
    folders: tuple[Path, ...] = ()  # of the files: what paths in their cells are relative to

    @classmethod
    def read(cls, frame: pl.DataFrame, source: str, numbers: np.ndarray, unit: str) -> "Table":
        """Return a table of a frame with the file's own names, which it normalises.

        Raises DataError for names that can't be used.
        """
        names, written = normalise_names(frame.columns, source)
        if written:
            frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
        return cls(frame, source, numbers, unit, written=written)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def nameless(self) -> list[str]:
        """The columns without a name in the file, and those of pandas' indexes in Parquet files."""
        return [
            name
            for name in self.frame.columns
            if name in self.unnamed or _PANDAS_INDEX.fullmatch(name)
        ]

    def place(self, row: int) -> str:
        """Say where a row stands: `data/x.csv, line 17`."""
        return self.place_of(int(self.numbers[row]))

    def place_of(self, number: int) -> str:
        """Say where the row with a number stands."""
        return place_of(self.source, self.files, self.unit, number)

    def position(self, row: int) -> str:
        """Say where a row stands within the table: `line 17`, with its file where it has many."""
        return self.position_of(int(self.numbers[row]))

    def position_of(self, number: int) -> str:
        """Say where the row with a number stands within the table."""
        return position_of(self.files, self.unit, number)

    def folder_of(self, number: int) -> Path:
        """Return the folder that paths in the row with a number are relative to."""
        return self.folders[number // _ROWS_OF_FILE] if self.folders else Path()

    def column(self, name: str) -> pl.Series:
        """Return a column; DataError where the table has none, or a cell that can't be read."""
        if name in self.misread:
            raise MisreadError(self.misread[name])
        try:
            return self.frame.get_column(name)
        except pl.exceptions.ColumnNotFoundError:
            raise DataError(
                f"{self.source}: no column '{name}'{self.known_columns(name)}"
            ) from None

    def known_columns(self, name: str) -> str:
        """Return the end of a sentence that says that there is no column of a name."""
        shown, more = self.frame.columns[:_MAX_SHOWN], len(self.frame.columns) - _MAX_SHOWN
        known = f"; its columns: {', '.join(shown)}" + (f" and {more} more" if more > 0 else "")
        hint = None if self.dialect is None else self.dialect.header_hint()
        return suggest(name, self.frame.columns) + known + ("" if hint is None else f"; {hint}")

    def plainly(self) -> "Table":
        """Return the table with text in plain notation: 1234.5 for 1.234,5, and ISO 8601 dates.

        A column with a cell that can be read in two ways is refused by whoever asks for it.
        """
        if self.notation.is_plain:
            return self
        columns, misread = [], dict(self.misread)
        for name, dtype in self.frame.schema.items():
            if dtype == pl.String:
                cells, bad = self.notation.rewrite(self.frame[name])
                columns.append(cells)
                if bad is not None:
                    misread[name] = (
                        f"{self.place(bad.row)}: column '{name}' has "
                        f"{self.frame[name][bad.row]!r}, {bad.what}; {bad.repair}"
                    )
        frame = self.frame.with_columns(columns)
        return replace(self, frame=frame, notation=PLAIN_NOTATION, misread=misread)

    def without_misread(self) -> tuple["Table", dict[str, np.ndarray]]:
        """Return the table with null for numbers that are not written as the file's others are.

        Returns which they are, too, as bool [rows] by column. A cell that can be read in two ways
        stays, and its column is refused by whoever asks for it.
        """
        columns, found = [], dict[str, np.ndarray]()
        for name, dtype in self.frame.schema.items():
            if dtype == pl.String and not self.notation.is_plain:
                _, bad = self.notation.rewrite(self.frame[name])
                if bad is not None and bad.others is not None:
                    columns.append(self.frame[name].set(bad.others, None))
                    found[name] = bad.others.to_numpy()
        return replace(self, frame=self.frame.with_columns(columns)), found

    def take(self, rows: np.ndarray) -> "Table":
        """Return some of the rows, in the order asked for."""
        return replace(self, frame=self.frame[for_polars(rows)], numbers=self.numbers[rows])

    def with_short_paths(self) -> "Table":
        """Return the table with its files named without the detours of a config's paths."""
        files = tuple(map(os.path.normpath, self.files))
        return replace(self, source=os.path.normpath(self.source), files=files)

    def with_written_names(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame of this table's columns, and others, with the names that the file has."""
        return frame.rename(self.written) if self.written else frame

    def of_rows(self, frame: pl.DataFrame, numbers: np.ndarray) -> "Table":
        """Return a table with other rows of the same source."""
        return replace(self, frame=frame, numbers=numbers)


def join_rows(tables: Sequence[Table]) -> Table:
    """Return the rows of several tables of one source that write text alike."""
    if len(tables) == 1:
        return tables[0]
    frame = pl.concat([table.frame for table in tables])
    numbers = np.concatenate([table.numbers for table in tables])
    return replace(
        tables[0].of_rows(frame, numbers),
        misread={name: why for table in reversed(tables) for name, why in table.misread.items()},
        has_exponents=any(table.has_exponents for table in tables),
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
    )
