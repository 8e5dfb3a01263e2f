"""Codes that read as numbers: 01201, and 1E5 beside 10E4."""

from dataclasses import dataclass

import polars as pl

from dlcli.columns.cells.label_text import to_labels
from dlcli.columns.cells.values import parse_numbers

_ZEROS_IN_FRONT = r"^0[0-9]+$"
_EXPONENT = r"^[0-9]+E[0-9]+$"  # of whole digits, without a sign
_CODE = r"^(?:0[0-9]+|[0-9]{2,}E[0-9]+|[0-9]E0[0-9]+)$"  # as no program writes a number
_SINGLE_DIGIT = r"^[0-9]E[0-9]+$"  # 1E5 may be a number, if no other cell is the same one


@dataclass(frozen=True)
class CodeCells:
    """Which cells of a column of text are codes, and which may be, bool [rows] each."""

    codes: pl.Series
    doubtful: pl.Series


def find_codes(text: pl.Series, *, has_exponents: bool = True) -> CodeCells | None:
    """Return the cells that are codes, or may be; None where there are none.

    `has_exponents`: whether a cell may have an exponent; where none has, that is not looked for.
    """
    has_zeros = _has_zeros(pl.col(text.name))
    if not has_exponents and not text.to_frame().select(has_zeros).item():
        return None
    found = CodeCells(
        text.str.contains(_CODE).fill_null(value=False),
        text.str.contains(_SINGLE_DIGIT).fill_null(value=False),
    )
    return found if found.codes.any() or found.doubtful.any() else None


def may_have_codes(text: pl.DataFrame, *, has_exponents: bool = True) -> set[str]:
    """Return the columns, of text without null, in which there may be a code."""
    found = _has_zeros(pl.all())
    if has_exponents:
        found |= pl.all().str.contains(_EXPONENT).any()
    return {column.name for column in text.select(found) if column.any()}


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


def _has_zeros(cells: pl.Expr) -> pl.Expr:
    """Whether any cell begins with a zero and a digit: the fastest way to tell."""
    return ((cells >= "00") & (cells < "0:")).any()
