"""What to do about a cell that is not what its column is."""

import re
from dataclasses import dataclass

# 1,5 and 1,000.5 and 1 000 and 12 % and $3.50: meant as numbers, with an ambiguous comma or a unit.
NUMBER_WRITTEN_OTHERWISE = (
    r"^[$€£]?\s?[-+]?([0-9]+|[0-9]{1,3}([ ,.'][0-9]{3})+)([.,][0-9]+)?\s?[%€$£]?$"
)
_PLAIN = r"^[-+]?[0-9]+(\.[0-9]+)?$"
_MARKED = r"^[-+]?[0-9]+([ ,.'][0-9]+)+$"
_DATED = r"^([0-9]{1,2}([./-])[0-9]{1,2}\2[0-9]{2,4}|[0-9]{4}([./-])[0-9]{1,2}\3[0-9]{1,2})\b"


@dataclass(frozen=True)
class ColumnUse:
    """What a column is to be, on which the repairs of its cells depend."""

    is_target: bool = False
    only_kind: str | None = None  # the kind that all of its cells are, if that is known


FEATURE, TARGET = ColumnUse(), ColumnUse(is_target=True)


def is_written_otherwise(cell: object) -> bool:
    """Say whether a cell may be a number with a comma, a space or an apostrophe in it."""
    if not isinstance(cell, str) or re.match(_PLAIN, cell) or _is_dated(cell):
        return False
    return bool(re.match(_MARKED, cell))


def _is_dated(cell: object) -> bool:
    """Say whether a cell may be a date in some notation, such as 31.1.2024."""
    return isinstance(cell, str) and bool(re.match(_DATED, cell))


def _has_unit(cell: object) -> bool:
    """Say whether a cell may be a number with a unit, such as 12 %."""
    if not isinstance(cell, str) or re.match(_PLAIN, cell):
        return False
    return bool(re.match(NUMBER_WRITTEN_OTHERWISE, cell))


def repair_of(name: str, cell: object, use: ColumnUse) -> str:
    """Return the repairs for a cell of a column."""
    kind = use.only_kind
    if kind is None and is_written_otherwise(cell):
        return (
            "write all numbers of the file alike; how a text file writes them is said by "
            "data.decimal and data.thousands"
        )
    if kind is None and _is_dated(cell):
        return (
            "write all dates of the file alike; how a text file writes them is said by "
            "data.date_formats"
        )
    if kind is None and _has_unit(cell):
        plain = "write plain numbers, such as 1234.5, in the file"
        return plain if use.is_target else f"{plain}, or set {_kinds(name, 'categorical')}"
    if use.is_target:
        repair = "data.task: multiclass"
        if isinstance(cell, str):
            repair += (
                ", or, if it means missing, the text in data.missing_values and "
                "data.drop_missing_target: true"
            )
    elif kind is not None:
        repair = _kinds(name, kind)
    else:
        repair = _kinds(name, "categorical")
        if isinstance(cell, str):
            repair = f"the text in data.missing_values or {repair}"
    return f"correct the file, or train with {repair}"


def _kinds(name: str, kind: str) -> str:
    return f"data.kinds: {{{name}: {kind}}}"
