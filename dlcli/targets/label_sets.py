"""Sets of labels as cells have them: lists, or text with a separator between labels."""

import json
from collections.abc import Collection, Iterable

import polars as pl

THRESHOLD = 0.5  # probability above which a label is predicted
LISTS = "list"  # in place of a separator: a list, or its text in the notation of JSON
_SEPARATORS = (";", "|", ",")  # those that are recognised, the first one that there is


def recognise_separator(cells: Iterable[str]) -> str | None:
    """Return what separates the labels of cells, or LISTS; None where nothing does."""
    texts = [*cells]
    if are_lists(texts):
        return LISTS
    return next((mark for mark in _SEPARATORS if any(mark in text for text in texts)), None)


def are_lists(cells: Collection[str]) -> bool:
    """Say whether there are cells, and all are lists of labels."""
    if not cells or not all(text.startswith("[") and text.endswith("]") for text in cells):
        return False
    return all(labels_in(text, LISTS) is not None for text in cells)


def labels_in(cell: str, separator: str) -> frozenset[str] | None:
    """Return the labels of a cell; None where it is no list, and lists are expected.

    A list is one whatever the separator is. Between separators that stand side by side, and around
    a single one, there is no label.
    """
    found = _list_in(cell)
    if found is not None or separator == LISTS:
        return found
    return frozenset(filter(None, map(str.strip, cell.split(separator))))


def _list_in(cell: str) -> frozenset[str] | None:
    """Return the labels of a list in the notation of JSON; None where a cell is none."""
    if not cell.startswith("["):
        return None
    try:
        found = json.loads(cell, strict=False)
    except ValueError:
        return None
    if not isinstance(found, list) or not all(map(_is_label, found)):
        return None
    texts = (item if isinstance(item, str) else json.dumps(item) for item in found)
    return frozenset(text.strip() for text in texts)


def _is_label(item: object) -> bool:
    return bool(item.strip()) if isinstance(item, str) else isinstance(item, int)


def cells_of(sets: Iterable[Iterable[str]], separator: str) -> pl.Series:
    """Return the cells that hold some sets, lists or text; of an empty one, the separator alone."""
    if separator == LISTS:
        return pl.Series(map(list, sets), dtype=pl.List(pl.String))
    return pl.Series(
        [separator.join(labels) or separator for labels in map(list, sets)], dtype=pl.String
    )
