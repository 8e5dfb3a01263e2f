"""How text files of rows are written: the values that the keys of `data` take for it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dlcli.tables.names import ColumnName
from dlcli.tables.notation.dates import format_problem
from dlcli.tables.text.encodings import encoding_problem


def _check_encoding(name: str) -> str:
    problem = None if name == "auto" else encoding_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return name


def _check_format(layout: str) -> str:
    problem = format_problem(layout)
    if problem is not None:
        raise ValueError(problem)
    return layout


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"`names` has duplicates: {', '.join(sorted(twice))}")
    return names


def _unescape(mark: object) -> object:
    return "\t" if mark == r"\t" else mark


Auto = Literal["auto"]
Separator = Annotated[Literal["auto", ",", ";", "\t", "|"], BeforeValidator(_unescape)]
Decimal = Literal["auto", ".", ","]
Thousands = Literal["auto", "none", ",", ".", " ", "'"]
Quote = Literal["auto", '"', "'", "none"]
Encoding = Annotated[str, AfterValidator(_check_encoding)]
Names = Annotated[
    tuple[Annotated[ColumnName, Field(min_length=1)], ...],
    Field(strict=False, min_length=1),
    AfterValidator(_check_names),
]
DateFormats = Annotated[
    tuple[Annotated[str, AfterValidator(_check_format)], ...], Field(strict=False)
]
