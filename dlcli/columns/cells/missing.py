"""Which cells are missing: one value is missing in every form in which a file may have it."""

import math
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from dlcli.columns.cells.label_text import to_labels
from dlcli.columns.cells.values import parse_booleans, parse_datetimes, parse_numbers


@dataclass(frozen=True)
class MissingValues:
    """The values of a config that mean: no value."""

    texts: tuple[str, ...]
    numbers: tuple[float, ...]  # among them
    labels: frozenset[str]  # of those that are a number, a boolean or a datetime
    has_other: bool  # whether there is a boolean or a datetime

    @property
    def have_types(self) -> bool:
        """Whether one may stand in a column that is not text."""
        return bool(self.labels)


@lru_cache(maxsize=64)
def missing_values_of(texts: tuple[str, ...]) -> MissingValues:
    """Return what the missing values of a config mean."""
    cells = pl.Series(texts, dtype=pl.String).str.strip_chars()
    numbers = parse_numbers(cells)
    other = parse_booleans(cells).is_not_null() | parse_datetimes(cells).is_not_null()
    return MissingValues(
        texts,
        tuple(numbers.drop_nulls()),
        frozenset(to_labels(cells.filter(numbers.is_not_null() | other))),
        bool(other.any()),
    )


def without_texts(cells: pl.Series, missing: MissingValues) -> pl.Series:
    """Return cells with null for text that is a missing value as it stands there."""
    if cells.dtype != pl.String or not missing.texts:
        return cells
    is_missing = cells.is_in(list(missing.texts))
    return cells.set(is_missing, None) if is_missing.any() else cells


def blank_out(cells: pl.Series, missing: MissingValues) -> pl.Series:
    """Return cells with null for those that are a missing value in another form, or of a type."""
    if missing.has_other:
        near = cells.is_not_null()
    elif cells.dtype == pl.String or cells.dtype.is_numeric():
        wide = cells if cells.dtype == pl.Float32 else cells.cast(pl.Float64, strict=False)
        near = wide.is_in(pl.Series(missing.numbers, dtype=wide.dtype).implode())
        near = near.fill_null(value=False)
    else:
        return cells
    if not near.any():
        return cells
    found = cells.filter(near)
    is_same = to_labels(found).is_in(list(missing.labels))
    if any(map(math.isinf, missing.numbers)):
        numbers = parse_numbers(found)
        is_same |= numbers.is_infinite() & numbers.is_in(list(missing.numbers))
    return cells.set(near.scatter(near.arg_true(), is_same.fill_null(value=False)), None)
