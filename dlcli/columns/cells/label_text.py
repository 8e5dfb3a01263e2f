"""Cells as labels: text in which one value is written in one way.

1, 1.0 and 1.00 are `1`; 1.50 is `1.5`; True and TRUE are `true`; a day and its midnight are
`2024-01-31`. Numbers with zeros in front (007) and codes such as 1E5 stay as they are.
"""

import math
import re
from decimal import Decimal

import polars as pl

from dlcli.columns.cells.values import parse_booleans, parse_datetimes

_MAY_DIFFER = r"^(?:[-.0-9]|(?i:true|false)$)"  # a value that can be written in several ways
_PLAIN = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"  # a number as labels have it, or -0
# As programs write numbers: digits without zeros in front; an exponent behind a fraction, behind a
# single digit and a small e, or with its sign. 1E5 and 10e4 are not among them.
_NUMBER = (
    r"^-?(?:(?:0|[1-9][0-9]*)\.?|(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?"
    r"|[0-9](?:e[+-]?|E[+-])[0-9]{1,3})$"
)
_WHOLE = r"^(-?(?:0|[1-9][0-9]*))\.0*$"
_PARTS = re.compile(r"(-?)([0-9]*)\.?([0-9]*)")


def to_labels(cells: pl.Series) -> pl.Series:
    """Return text, null where missing, in which one value is written in one way."""
    if cells.dtype == pl.Boolean:
        return _of_booleans(cells)
    if cells.dtype.is_temporal():
        return _of_datetimes(parse_datetimes(cells))
    text = cells.cast(pl.String)
    if cells.dtype.is_integer():
        return text
    different = text.drop_nulls().unique()
    different = different.filter(different.str.contains(_MAY_DIFFER))
    if not len(different):
        return text
    labels = _canonical(different)
    is_other = labels != different
    if not is_other.any():
        return text
    return text.replace(different.filter(is_other), labels.filter(is_other))


def _canonical(different: pl.Series) -> pl.Series:
    """Return the labels of texts, none of them null."""
    labels = different.str.replace(_WHOLE, "$1")
    for parsed in (_of_booleans(parse_booleans(different)), _of_datetimes_in(different)):
        labels = parsed.zip_with(parsed.is_not_null(), labels)
    is_number = labels.str.contains(_NUMBER) & (~labels.str.contains(_PLAIN) | (labels == "-0"))
    if not is_number.any():
        return labels
    numbers = [_of_number(text) for text in labels.filter(is_number)]
    return labels.scatter(is_number.arg_true(), numbers)


def _of_booleans(cells: pl.Series) -> pl.Series:
    return cells.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)


def _of_datetimes_in(text: pl.Series) -> pl.Series:
    return _of_datetimes(parse_datetimes(text))


def _of_datetimes(datetimes: pl.Series) -> pl.Series:
    """Return ISO 8601 text of datetimes in UTC; a midnight is its day."""
    is_day = datetimes == datetimes.dt.truncate("1d")
    days = datetimes.dt.to_string("%Y-%m-%d")
    return days.zip_with(is_day, datetimes.dt.to_string("%Y-%m-%dT%H:%M:%S%.f"))


def _of_number(text: str) -> str:
    """Return a number's digits, none of them lost, without an exponent and superfluous zeros."""
    if "e" in text.lower():
        value, number = Decimal(text), float(text)
        if not math.isfinite(number) or bool(number) != bool(value):
            return text  # float64 has no such number
        if value == Decimal(repr(number)):  # what a program writes of a float
            value = Decimal(int(number)) if number.is_integer() else value
        text = format(value, "f")
    parts = _PARTS.fullmatch(text)
    assert parts is not None, "it is a number without an exponent"
    sign, whole, fraction = parts.groups()
    fraction = fraction.rstrip("0")
    digits = (whole or "0") + (f".{fraction}" if fraction else "")
    return digits if digits == "0" else sign + digits
