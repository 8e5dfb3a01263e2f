"""The first line of a text file: names of columns, or data."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import polars as pl

from dlcli.errors import DataError
from dlcli.tables.names import normalise_name, normalise_names
from dlcli.tables.notation.dates import LOOKS_DATED
from dlcli.tables.notation.numbers import look_like_numbers
from dlcli.tables.text.text_format import PlacedColumns, TextFormat

_MOSTLY = 0.8
_MIN_COUNTED = 3  # numbers that count up, as 0, 1, 2
_YEARS = range(1800, 2200)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")  # in no name
_NONE = ("", "?", "-", "na", "n/a", "nan", "null", "none")


_MAY_BE_VALUE = re.compile(
    r"[-+.,]*[0-9]|(?i:[a-z]*\.?,? ?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))"
).match


@dataclass(frozen=True)
class Header:
    """The names of a file's columns."""

    names: list[str]
    written: dict[str, str]  # those that the file writes otherwise
    unnamed: tuple[str, ...] = ()  # of columns that have no name in the file
    first_cells: tuple[str, ...] | None = None  # of a first line that is data
    is_recognised: bool = False  # that it is data, or counts up and is names: nobody said so


def read_names(cells: Sequence[str], source: str) -> Header:
    """Return the names that a first line gives; one without is called by its place: column_1.

    Raises DataError for names that can't be used.
    """
    written = [*cells]
    unnamed = []
    taken = {normalise_name(cell) for cell in cells}
    for index, cell in enumerate(cells):
        if _CONTROL.search(cell):
            raise DataError(f"{source}: not a CSV file: starts with {cell.strip()[:20]!r}")
        if not cell.strip():
            written[index] = _free_name(f"column_{index + 1}", taken)
            unnamed.append(written[index])
    names, otherwise = normalise_names(written, source)
    if len(unnamed) == 1:  # two that are written alike could not be written back
        otherwise[unnamed[0]] = cells[names.index(unnamed[0])]
    return Header(names, otherwise, tuple(unnamed))


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def recognise_header(
    cells: Sequence[str], sample: Callable[[], pl.DataFrame], form: TextFormat, source: str
) -> Header:
    """Return the names of the columns of a file, by its first line and a sample of rows below it.

    Without a header line they are those that are given, or column_1 and so on. Raises DataError
    where the first line may be both, and where names are given that it has not as many cells for.
    """
    line = _FirstLine.of(cells, sample, form)
    if form.names is not None:
        return _given_names(line, form, source)
    if form.header is not None:
        return read_names(cells, source) if form.header else _placed_names(line, form, source)
    if not line.values or line.names_a_column:
        return read_names(cells, source)
    if line.is_surely_data:
        return _placed_names(line, form, source)
    if line.counts_up:
        return replace(read_names(cells, source), is_recognised=True)
    raise DataError(
        f"{source}: the first line, {shown(line.texts)}, may be names of columns or data; "
        f"{form.advice('header', True, False)}"
    )


def _given_names(line: "_FirstLine", form: TextFormat, source: str) -> Header:
    assert form.names is not None, "who calls has seen that they are given"
    names, texts = [normalise_name(name) for name in form.names], line.texts
    if len(names) != len(texts):
        raise DataError(
            f"{source}: data.names has {len(names)} names, and the first line {len(texts)} "
            f"cells: {shown(texts)}; give one name for each"
        )
    has_names = bool({normalise_name(text) for text in texts} & {*names}) or line.names_a_column
    if form.header is None and has_names:
        raise DataError(
            f"{source}: the first line, {shown(texts)}, looks like names, and data.names is "
            f"for files without: leave it out, or {form.advice('header', False)} if it is data"
        )
    return Header(names, {}, first_cells=texts)


def _placed_names(line: "_FirstLine", form: TextFormat, source: str) -> Header:
    names = [_placed_name(place) for place in range(1, len(line.texts) + 1)]
    if form.placed is not None:
        _refuse_other_places(len(names), form.placed, form, source)
    return Header(names, {}, first_cells=line.texts, is_recognised=form.header is None)


def _placed_name(place: int) -> str:
    return f"column_{place}"


def _refuse_other_places(found: int, trained: PlacedColumns, form: TextFormat, source: str) -> None:
    """Refuse a file in which a place may be another column's; only last targets may be absent."""
    count, targets = trained.count, trained.targets
    names = [name for name in map(_placed_name, range(1, count + 1)) if name not in targets]
    if found == count or (
        found == len(names) and names == [*map(_placed_name, range(1, found + 1))]
    ):
        return
    naming = "name its columns as training did, by data.names"
    if len(names) == found:
        left_out = " and ".join(f"'{name}'" for name in targets)
        naming += f": where only {left_out} is left out, {form.advice('names', names)}"
    raise DataError(
        f"{source}: {found} columns without names, where training had {count}, so nobody knows "
        f"which is which; {naming}"
    )


@dataclass(frozen=True)
class _FirstLine:
    """The cells of the first line, and what they and those below them are."""

    texts: tuple[str, ...]
    kinds: list[str | None]  # "number", "date", "text"; None: empty, or a missing value
    columns: list[pl.Series]  # the cells below
    below: list[str | None]  # what most of them are

    @classmethod
    def of(
        cls, cells: Sequence[str], sample: Callable[[], pl.DataFrame], form: TextFormat
    ) -> "_FirstLine":
        texts = tuple(cell.strip() for cell in cells)
        missing = {*_NONE, *(value.strip().lower() for value in form.missing_values)}
        kinds = _kinds_of(pl.Series(texts, dtype=pl.String), missing)
        columns: list[pl.Series] = []
        below: list[str | None] = [None] * len(texts)
        if form.names is not None or {"number", "date"} & {*kinds}:  # otherwise they are names
            columns = [column.str.strip_chars() for column in sample().get_columns()]
            below = [_kind_of_most(column, missing) for column in columns]
        return cls(texts, kinds, columns, below)

    @property
    def values(self) -> list[str]:
        """The cells that are numbers or dates."""
        pairs = zip(self.texts, self.kinds, strict=True)
        return [text for text, kind in pairs if kind in ("number", "date")]

    @property
    def names_a_column(self) -> bool:
        """Whether something else stands above a column of numbers, or of dates: a name."""
        pairs = zip(self.kinds, self.below, strict=True)
        return any(
            kind is not None and below in ("number", "date") and kind != below
            for kind, below in pairs
        )

    @property
    def is_surely_data(self) -> bool:
        """Whether it can't be names: some value is no whole number, or a text occurs again."""
        known = [text for text in self.texts if text]
        if not all(value.isdecimal() for value in self.values) or len({*known}) < len(known):
            return True
        cells = zip(self.texts, self.kinds, self.columns, strict=True)
        return any(kind == "text" and text in column for text, kind, column in cells)

    @property
    def counts_up(self) -> bool:
        """Whether whole numbers or years count up, and those of the next row don't."""
        numbers = [int(value) for value in self.values]
        first = numbers[0]
        are_years = all(number in _YEARS for number in numbers)
        if len(numbers) < (2 if are_years else _MIN_COUNTED):
            return False
        if numbers != [*range(first, first + len(numbers))]:
            return False
        next_row = [column[0] for column in self.columns if len(column)]
        pairs = zip(next_row, self.kinds, strict=False)
        return [cell for cell, kind in pairs if kind == "number"] != [
            str(number + 1) for number in numbers
        ]


def _kinds_of(text: pl.Series, missing: Collection[str]) -> list[str | None]:
    """Return what each text is: "number", "date", "text"; None for a missing one."""
    if not any(cell is not None and _MAY_BE_VALUE(cell) for cell in text):  # as of most names
        return [None if cell is None or cell.lower() in missing else "text" for cell in text]
    numbers, dates = look_like_numbers(text), text.str.contains(LOOKS_DATED)
    return [
        None
        if cell is None or cell.lower() in missing
        else "number"
        if is_number
        else "date"
        if is_date
        else "text"
        for cell, is_number, is_date in zip(text, numbers, dates, strict=True)
    ]


def _kind_of_most(cells: pl.Series, missing: Collection[str]) -> str | None:
    kinds = [kind for kind in _kinds_of(cells, missing) if kind is not None]
    for kind in ("number", "date"):
        if kinds and kinds.count(kind) >= _MOSTLY * len(kinds):
            return kind
    return "text" if kinds else None


def shown(texts: Sequence[str]) -> str:
    """Return the first of some cells, for a message."""
    return ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")
