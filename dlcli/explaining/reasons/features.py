"""A fitted column: its place among the encoded features, and what it holds in its own terms."""

import math

import numpy as np
import polars as pl

from dlcli.columns.cells import (
    numbers_in,
    parse_booleans,
    parse_datetimes,
    read_cells,
    to_labels,
    to_seconds,
)
from dlcli.columns.columns import CategoricalColumn, FittedColumn, encode_column
from dlcli.data.fitted import FittedData
from dlcli.data.survey.grids import find_grid, resembles_image
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.tables.table import Table

Slots = np.ndarray  # [width] int64: indices of encoded features


def column_slots(fitted: FittedData, rows: Table) -> list[Slots]:
    """Return the encoded features of each column; `rows` has one row at least."""
    first = rows.take(np.array([0]))
    blocks = [encode_column(column, first, fitted.missing_values)[0] for column in fitted.columns]
    embedded = [_is_embedded(column) for column in fitted.columns]
    slots: dict[int, Slots] = {}
    start = 0
    for index in np.argsort(embedded, kind="stable").tolist():  # dense ones in order, then codes
        slots[index] = np.arange(start, start + blocks[index].shape[1])
        start += len(slots[index])
    assert start == fitted.signature().num_inputs
    return [slots[index] for index in range(len(blocks))]


def encode_cells(fitted: FittedData, column: FittedColumn, cells: pl.Series) -> np.ndarray:
    """Encode other cells than a table's, float32 [cells, width]."""
    frame = cells.alias(column.name).to_frame()
    table = Table(frame, "", np.arange(len(cells)), "row", fitted.missing_values)
    return encode_column(column, table, fitted.missing_values)[0].astype(np.float32)


def known_values(fitted: FittedData, column: FittedColumn, rows: Table) -> np.ndarray:
    """Return numbers as they stand, 0 and 1, or seconds since 1970 UTC; NaN where missing."""
    missing_values = fitted.missing_values
    match column.kind:
        case "numeric":
            return numbers_in(rows, column.name, missing_values)
        case "boolean":
            truths = parse_booleans(read_cells(rows, column.name, missing_values))
            return truths.cast(pl.Float64).to_numpy()
        case "datetime":
            return to_seconds(parse_datetimes(read_cells(rows, column.name, missing_values)))
        case "categorical":
            raise ValueError(f"the categories of '{column.name}' are no numbers")


def known_labels(fitted: FittedData, column: FittedColumn, rows: Table) -> pl.Series:
    """Return categories as text, null where missing."""
    return to_labels(read_cells(rows, column.name, fitted.missing_values))


def are_plain_numbers(fitted: FittedData) -> bool:
    """Say whether each column is one number to the network, and nothing more."""
    return all(
        column.kind in ("numeric", "boolean") and not getattr(column, "indicator", False)
        for column in fitted.columns
    )


def array_shape(subject: ExplainedModel) -> tuple[int, ...] | None:
    """Return [channels, length] or [channels, height, width] where a row is a signal or an image.

    It is one where the config says so, or where the names count pixels that are like each other.
    """
    fitted = subject.fitted
    if fitted.shape is not None:
        return fitted.shape if len(fitted.shape) > 1 else None
    if not are_plain_numbers(fitted):
        return None
    grid = find_grid([column.name for column in fitted.columns])
    if grid is None or math.prod(grid) != len(fitted.columns):
        return None
    features = next(iter(subject.parts.values())).encoded.features.cpu().numpy()
    return (1, *grid) if resembles_image(features, grid) else None


def _is_embedded(column: FittedColumn) -> bool:
    return isinstance(column, CategoricalColumn) and column.embedding_dim is not None
