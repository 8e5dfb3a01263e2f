"""Which kind of column it is, told from its cells, with the reason."""

from dataclasses import dataclass

import polars as pl

from dlcli.config.data import ColumnKind
from dlcli.data.cells import parse_booleans, parse_moments, parse_numbers

_MOSTLY = 0.8
# 1,5 and 1,000.5 and 1 000 and 12 % and $3.50: meant as numbers, with an ambiguous comma or a unit.
_NUMBER_WRITTEN_OTHERWISE = (
    r"^[$€£]?\s?[-+]?([0-9]+|[0-9]{1,3}([ ,.'][0-9]{3})+)([.,][0-9]+)?\s?[%€$£]?$"
)


@dataclass(frozen=True)
class Inference:
    """A column's kind, or None where it can't be used, and why."""

    kind: ColumnKind | None
    reason: str
    mixed: bool = False  # numbers and something else, which only its owner can settle


def infer_kind(cells: pl.Series) -> Inference:
    """Tell a column's kind from cells in which null stands for what is missing."""
    values = cells.drop_nulls()
    if not len(values):
        return Inference(None, "no value in any training row")
    if values.dtype.is_numeric():
        return Inference("numeric", "numbers")
    if values.dtype == pl.Boolean:
        return Inference("boolean", "true and false")
    if values.dtype.is_temporal() and values.dtype not in (pl.Time, pl.Duration):
        return Inference("datetime", "dates")
    if values.dtype != pl.String:
        return Inference(None, f"its type, {values.dtype}, has no encoding")
    return _infer_from_text(values)


def _infer_from_text(values: pl.Series) -> Inference:
    numbers = parse_numbers(values)
    if numbers.null_count() == 0:
        return Inference("numeric", "numbers")
    if parse_booleans(values).null_count() == 0:
        return Inference("boolean", "true and false")
    if parse_moments(values.head(100)).null_count() == 0 and (
        parse_moments(values).null_count() == 0
    ):
        return Inference("datetime", "ISO 8601 dates")
    if (numbers.is_not_null() | values.str.contains(_NUMBER_WRITTEN_OTHERWISE)).mean() >= _MOSTLY:  # type: ignore[operator]
        other = values.filter(numbers.is_null())[0]
        count = len(values) - numbers.null_count()
        return Inference(None, f"{count} of {len(values)} are numbers, but not {other!r}", True)
    if values.n_unique() == len(values):
        return Inference(None, "text with a value of its own in each row")
    return Inference("categorical", f"text with {values.n_unique()} different values")
