"""The weights of rows: how much each counts."""

import math

import numpy as np
import polars as pl

from dlcli.columns.cells import parse_numbers, read_cells
from dlcli.columns.column_statistics import CellCount
from dlcli.errors import DataError, counted
from dlcli.tables.table import Table

_LEAST, _GREATEST = 1e-20, 1e20  # float32 holds their quotients, and sums of very many


def read_weights(rows: Table, name: str, missing_values: tuple[str, ...]) -> np.ndarray:
    """Return the weight of each row, float64 [rows], 0 or more.

    Raises DataError with the line of one that is missing, no number, negative, or too large or too
    small for float32.
    """
    if name not in rows.frame.columns:
        raise DataError(
            f"{rows.source}: no column '{name}', which says how much each row counts "
            "(data.weight); add it, or count each row once with --set data.weight=null"
        )
    cells = read_cells(rows, name, missing_values)
    weights = parse_numbers(cells).to_numpy()
    bad = np.flatnonzero(~(weights >= 0) | ((weights != 0) & ~_is_representable(weights)))
    if len(bad):
        first = int(bad[0])
        raise DataError(
            f"{rows.place(first)}: the weight '{name}' (data.weight) "
            f"{_what_is_wrong(cells, first, float(weights[first]))}"
        )
    return weights


def all_weightless(name: str, place: str, part: str | None = None) -> DataError:
    """Return the error for rows, the first one at a place, none of which counts."""
    rows = "every row" if part is None else f"every {part} row"
    return DataError(
        f"{place}: {rows} has the weight 0 in '{name}' (data.weight), this one first, so that none "
        "counts; give some of them a weight above 0"
    )


def weightless_notes(num_rows: int) -> list[str]:
    """Say how many rows don't count, if there are any."""
    return [f"{counted(num_rows, 'row')} left out, of weight 0 (data.weight)"] if num_rows else []


def first_of(rows: Table, chosen: np.ndarray) -> CellCount:
    """Return how many rows are chosen, by their indices, and the first of them."""
    return CellCount(len(chosen), int(rows.numbers[chosen[0]])) if len(chosen) else CellCount()


def _is_representable(weights: np.ndarray) -> np.ndarray:
    found: np.ndarray = (weights >= _LEAST) & (weights <= _GREATEST)
    return found


def _what_is_wrong(cells: pl.Series, row: int, weight: float) -> str:
    """Say what is wrong with the weight of a row, and what to do."""
    repair = "correct it, or give the row the weight 0, which leaves it out"
    if cells[row] is None:
        return f"is missing; {repair}"
    if math.isnan(weight):
        return f"is {cells[row]!r}, not a number; {repair}"
    if weight < 0:
        return f"is {weight:g}, less than 0; {repair}"
    if math.isinf(weight):
        return f"is not finite; {repair}"
    return (
        f"is {weight:g}, not 0 and not between {_LEAST:g} and {_GREATEST:g}; correct it, or "
        "multiply all weights by one factor: only their ratios count"
    )
