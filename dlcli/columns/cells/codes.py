"""Codes that read as numbers: 01201, and 1E5 beside 10E4."""

from dataclasses import dataclass

import polars as pl

from dlcli.columns.cells.label_text import to_labels
from dlcli.columns.cells.values import parse_numbers

_ZEROS_IN_FRONT = r"^0[0-9]+$"
# Whole digits and an exponent above 0 without a sign. With one digit that is no zero before it, it
# may be a number, if no other cell is the same one; no program writes the others for numbers.
_SINGLE_DIGIT = r"^[1-9]E[1-9][0-9]*$"
_CODE = r"^(?:0[0-9]+|[0-9]{2,}E[0-9]*[1-9][0-9]*|[1-9]E0[0-9]*[1-9][0-9]*)$"


@dataclass(frozen=True)
class CodeCells:
    """Which cells of a column of text are codes, and which may be, bool [rows] each."""

    codes: pl.Series
    doubtful: pl.Series


def find_codes(text: pl.Series, *, has_exponents: bool) -> CodeCells | None:
    """Return the cells that are codes, or may be; None where there are none.

    `has_exponents`: whether a cell may have an exponent; where none has, that is not looked for.
    """
    near = (text >= "00") & (text < "0:")  # the fastest way to see zeros in front
    if has_exponents:
        near |= text.str.contains("E", literal=True)
    if not near.any():
        return None
    found = text.filter(near)
    codes = found.str.contains(_CODE)
    doubtful = found.str.contains(_SINGLE_DIGIT)
    if not codes.any() and not doubtful.any():
        return None
    rows = near.fill_null(value=False).arg_true()
    none = pl.Series([False]).new_from_index(0, len(text))
    return CodeCells(none.clone().scatter(rows, codes), none.scatter(rows, doubtful))


def collide(different: pl.Series) -> bool:
    """Say whether one of several texts, such as 1E5, is the same number as another label."""
    labels = to_labels(different).unique()
    numbers = parse_numbers(labels)
    is_doubtful = labels.str.contains(_SINGLE_DIGIT).fill_null(value=False)
    doubtful, others = numbers.filter(is_doubtful), numbers.filter(~is_doubtful)
    return bool(doubtful.is_duplicated().any() or doubtful.is_in(others.implode()).any())


def describe_code(cell: object) -> str:
    """Say what sort of code a cell is."""
    has_zeros = pl.Series([str(cell)]).str.contains(_ZEROS_IN_FRONT).item()
    sort = "with zeros in front" if has_zeros else "that read as powers of ten"
    return f"codes {sort}, such as {cell!r}"
