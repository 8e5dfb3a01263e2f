"""Names of columns: trimmed and in one Unicode form (NFC), whichever format or config has them."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from dlcli.errors import DataError


def normalise_name(name: str) -> str:
    """Return a name without spaces and byte order marks around it, in the Unicode form NFC."""
    name = name.strip()
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name.strip("\ufeff").strip())


ColumnName = Annotated[str, AfterValidator(normalise_name)]  # of a config, of what is fitted


def refuse_twins(named: object) -> object:
    """Return what a config says by column; ValueError for two keys that name one column."""
    firsts: dict[str, str] = {}
    for key in named if isinstance(named, dict) else ():
        first = firsts.setdefault(normalise_name(str(key)), key)
        if first != key:
            raise ValueError(f"{first!a} and {key!a} name one column; leave one out")
    return named


def normalise_names(written: Sequence[str], place: str) -> tuple[list[str], dict[str, str]]:
    """Return the names of columns, and how the file at `place` writes those that differ.

    Raises DataError for two that become one, and for one that polars takes for a pattern of names.
    """
    names = [normalise_name(name) for name in written]
    firsts: dict[str, str] = {}
    for name, as_written in zip(names, written, strict=True):
        if name in firsts:
            _refuse_twice(name, firsts[name], as_written, place)
        firsts[name] = as_written
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise DataError(
                f"{place}: a column is named {name!r}, which the library that reads tables takes "
                "for a pattern of names: give it another name"
            )
    return names, {name: as_written for name, as_written in firsts.items() if name != as_written}


def _refuse_twice(name: str, first: str, second: str, place: str) -> None:
    if first == second:
        raise DataError(f"{place}: two columns are named '{name}'; rename one in the file")
    raise DataError(
        f"{place}: the columns {first!a} and {second!a} are both named '{name}' once spaces around "
        "names are dropped and characters are in one form (Unicode NFC): rename one"
    )
