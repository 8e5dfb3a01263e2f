"""A title, or a comment, above the line of names."""

import numpy as np
import polars as pl

from dlcli.errors import DataError
from dlcli.tables.notation.numbers import look_like_numbers
from dlcli.tables.text.records import find_records, newlines_before

_MIN_CELLS, _MIN_ROWS = 3, 3  # of a table that stands below a title


def refuse_title(
    title: str, head: bytes, separators: str, quote: str, source: str, line: int
) -> None:
    """Raise DataError where a first line of one cell stands above a table.

    `head` are the first records, which begin on a `line`, and `separators` what may stand between
    their cells. Numbers such as 1,234,567 in a single column are no table, nor are texts with fewer
    commas.
    """
    for separator in separators:
        starts, counts = find_records(head, separator, quote)
        wide = np.flatnonzero(counts >= _MIN_CELLS)
        if len(wide) < _MIN_ROWS or (counts[wide[0] :] != counts[wide[0]]).any():
            continue
        names = head[starts[wide[0]] :].split(b"\n", 1)[0].decode("utf-8", "replace")
        if look_like_numbers(pl.Series(names.split(separator))).any():
            continue
        below = line + int(newlines_before(head, starts)[wide[0]])
        raise DataError(
            f"{source}, line {line}: one cell, {title!r}, where line {below} and those after it "
            f"have {counts[wide[0]]}; if line {below} has the names of the columns, remove what "
            "stands above it"
        )
