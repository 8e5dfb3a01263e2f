"""Words such as NA: a missing value, or a class or category that is called so."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from dlcli.columns.cells import read_cells
from dlcli.columns.family import needs_labels, statistics_of_cells
from dlcli.config.sections.data import MISSING_VALUES
from dlcli.errors import are
from dlcli.tables.table import Table

_MANY_ROWS = 10  # of a class: enough whatever the others have
_MIN_ROWS = 2
_OFTEN_MISSING = ("none", "na", "n/a", "#n/a", "<na>", "nan", "null", "nil", "missing", "?", "-")


@dataclass(frozen=True)
class _Words:
    """How often a column of text has each word that may mean a missing value."""

    name: str
    counts: dict[str, int]
    num_empty: int
    are_labels: bool  # the other cells are text, neither numbers nor dates nor true and false
    num_rarest: int  # how often the rarest of the other cells stands there

    def is_frequent(self, word: str) -> bool:
        """Say whether a word stands there as often as a label does."""
        wanted = max(_MIN_ROWS, min(_MANY_ROWS, self.num_rarest))
        return self.are_labels and self.counts.get(word, 0) >= wanted


def settle_missing_words(table: Table, target: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the values that mean missing, and findings on words that are values of their own.

    A word is a class of the target where it is as frequent as one, and a category where the column
    has empty cells beside it; unless another column can only mean a missing value by it.
    """
    columns = [
        _count_words(cells)
        for cells in table.plainly().frame
        if cells.dtype in (pl.String, pl.Categorical)
    ]
    missing_values: tuple[str, ...] = MISSING_VALUES
    findings = list[str]()
    for word in filter(None, MISSING_VALUES):
        found = [column for column in columns if word in column.counts]
        as_value = [
            column
            for column in found
            if column.is_frequent(word) and (column.name == target or column.num_empty)
        ]
        gaps = [
            column.name
            for column in found
            if not column.are_labels or (column.name == target and column not in as_value)
        ]
        if as_value and not gaps:
            missing_values = tuple(value for value in missing_values if value != word)
        for column in as_value:
            findings.append(_finding(column, word, len(table), target, gaps))
    return missing_values, [*findings, *_like_missing(table.column(target))]


def left_out(table: Table, target: str, missing_values: tuple[str, ...]) -> Iterator[str]:
    """Yield how many rows have no target, and what stands there."""
    num_rows = read_cells(table, target, missing_values, takes_lists=True).null_count()
    cells, words = table.column(target), dict[str, int]()
    if cells.dtype in (pl.String, pl.Categorical):
        text = cells.cast(pl.String).str.strip_chars()
        is_word = (text != "") & text.is_in(list(missing_values))
        words = dict(text.filter(is_word).value_counts(sort=True).iter_rows())
    written = [f"'{word}' in {count:,}" for word, count in words.items()]
    if empty := num_rows - sum(words.values()):
        written.append(f"nothing in {empty:,}")
    if num_rows:
        keys = "data.drop_missing_target"
        if words:
            keys += "; a word that is a class goes out of data.missing_values"
        yield (
            f"{num_rows:,} of {len(table):,} rows {are(num_rows)} left out, without a '{target}': "
            f"it has {', '.join(written)} ({keys})"
        )


def _like_missing(cells: pl.Series) -> Iterator[str]:
    """Yield a class of the target whose name often means missing, though nothing says so."""
    if cells.dtype not in (pl.String, pl.Categorical):
        return
    text = cells.cast(pl.String).str.strip_chars()
    found = text.filter(text.str.to_lowercase().is_in(_OFTEN_MISSING))
    for word, count in found.value_counts(sort=True).iter_rows():
        if word not in MISSING_VALUES:
            yield (
                f"'{cells.name}' has '{word}' in {count:,} of {len(cells):,} rows: treated as a "
                "class; if it means missing, add it to data.missing_values and set "
                "data.drop_missing_target: true"
            )


def _count_words(cells: pl.Series) -> _Words:
    text = cells.cast(pl.String).str.strip_chars()
    is_word = text.is_in(list(MISSING_VALUES)).fill_null(value=True)
    words = dict(text.filter(is_word & text.is_not_null()).value_counts().iter_rows())
    empty = words.pop("", 0) + text.null_count()
    if not words:
        return _Words(cells.name, {}, empty, are_labels=False, num_rarest=0)
    others = text.filter(~is_word)
    are_labels = bool(len(others)) and needs_labels(statistics_of_cells(others))
    rarest = int(others.value_counts()["count"].min() or 0) if are_labels else 0  # type: ignore[arg-type]
    return _Words(cells.name, words, empty, are_labels=are_labels, num_rarest=rarest)


def _finding(column: _Words, word: str, num_rows: int, target: str, gaps: list[str]) -> str:
    where = f"'{column.name}' has '{word}' in {column.counts[word]:,} of {num_rows:,} rows"
    if column.num_empty:
        where += f" beside {column.num_empty:,} empty cells"
    if gaps:
        others = f"'{gaps[0]}'" if gaps[0] != column.name else "it"
        return (
            f"{where}: treated as missing, as {others} has '{word}' for a missing value too "
            "(data.missing_values); if it is a value of its own, give it another name in the file"
        )
    what = "a class" if column.name == target else "a category of its own"
    return (
        f"{where}: treated as {what}, not as missing (data.missing_values is without '{word}'; "
        "remove that key if it means missing"
        + (", and set data.drop_missing_target: true)" if column.name == target else ")")
    )
