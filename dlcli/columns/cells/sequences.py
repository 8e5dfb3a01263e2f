"""Cells that hold several numbers each: lists, or text such as 1;2;3."""

import numpy as np
import polars as pl

from dlcli.columns.cells.reading import read_cells
from dlcli.columns.cells.values import LARGEST
from dlcli.tables.table import Table

_SEPARATORS = (";", "|", ",")  # the first that a cell has separates its numbers; blanks otherwise
_NUM_LOOKED_AT = 100
_FEW = 2  # numbers of a cell that may be something else: 1,5


def read_sequence_cells(table: Table, name: str, missing_values: tuple[str, ...]) -> pl.Series:
    """Return a column, lists as they are, other cells null where missing.

    Raises DataError where there is no such column, or where its type has no encoding.
    """
    cells = table.column(name)
    return cells if _are_lists(cells.dtype) else read_cells(table, name, missing_values)


def parse_sequences(cells: pl.Series) -> pl.Series:
    """Return List(Float64), null where a cell is missing or not a list of finite numbers.

    Text may be in brackets, its numbers in quotation marks, as dlcli writes lists; it has one
    separator. A number alone is a sequence of one.
    """
    if _are_lists(cells.dtype):
        lists = cells.arr.to_list() if isinstance(cells.dtype, pl.Array) else cells
        inner = lists.dtype.inner  # type: ignore[attr-defined]
        if not (inner.is_numeric() or inner in (pl.String, pl.Null)):
            return pl.Series(cells.name, [], dtype=pl.List(pl.Float64)).clear(len(cells))
        found = lists.cast(pl.List(pl.Float64), strict=False)
    else:
        found = _split(cells.cast(pl.String))
    bad = _has_bad(found)
    return found.set(bad, None) if bad.any() else found


def seem_sequences(cells: pl.Series) -> bool:
    """Say whether all of the first text cells are sequences of numbers, most of them of several."""
    lengths = parse_sequences(cells.head(_NUM_LOOKED_AT)).list.len()
    return not lengths.null_count() and 2 * int((lengths > _FEW).sum()) > len(lengths)


def sequences_to_text(cells: pl.Series) -> pl.Series:
    """Return cells as text, lists as [1.0, 2.5], null where missing."""
    if not _are_lists(cells.dtype):
        return cells.cast(pl.String)
    texts = [None if cell is None else str(cell) for cell in cells.to_list()]
    return pl.Series(cells.name, texts, dtype=pl.String)


def flatten(sequences: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of sequences one behind the other, float64, and how many each has."""
    lengths = sequences.list.len().fill_null(0)
    elements = sequences.filter(lengths > 0).explode()
    return elements.to_numpy().astype(np.float64), lengths.to_numpy().astype(np.int64)


def _are_lists(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.List | pl.Array)


def _has_bad(sequences: pl.Series) -> pl.Series:
    """Return which have an element that is no finite number of float32, Boolean [rows]."""
    element = pl.element()
    is_bad = ~(element.is_finite() & (element.abs() <= LARGEST)).fill_null(value=False)
    return sequences.list.eval(is_bad).list.any().fill_null(value=False)


def _split(text: pl.Series) -> pl.Series:
    """Return the numbers in each text, null elements for what is none."""
    inside = text.str.strip_chars().str.replace(r"(?s)^\[(.*)\]$", "$1").str.strip_chars()
    cell = pl.col(text.name)
    split = pl.coalesce(
        pl.when(cell == "").then(pl.lit([], dtype=pl.List(pl.String))),
        *(
            pl.when(cell.str.contains(separator, literal=True)).then(cell.str.split(separator))
            for separator in _SEPARATORS
        ),
        cell.str.extract_all(r"\S+"),
    )
    numbers = pl.element().str.strip_chars(' \t"').cast(pl.Float64, strict=False)
    return inside.to_frame().select(split.list.eval(numbers).alias(text.name)).to_series()
