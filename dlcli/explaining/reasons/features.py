"""Cells as the network sees them, and the array that columns make up."""

import math

import numpy as np
import polars as pl

from dlcli.columns.base import Column, OrderedColumn
from dlcli.data.fitted import FittedData
from dlcli.data.signature import NUMBERS
from dlcli.data.survey.grids import find_grid, resembles_image
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.tables.table import Table


def encode_cells(fitted: FittedData, column: Column, cells: pl.Series) -> np.ndarray:
    """Encode other cells than a table's, [cells, width], for the slots of their column."""
    frame = cells.alias(column.name).to_frame()
    table = Table(frame, "", np.arange(len(cells)), "row", fitted.missing_values)
    field = next(known for known in fitted.input_fields if known.name == column.field)
    return column.encode(table, fitted.missing_values)[0].astype(field.dtype)


def plain_numbers(fitted: FittedData) -> list[OrderedColumn] | None:
    """Return the columns if each is encoded as a single number, and nothing more; else None."""
    columns = [
        column
        for column in fitted.columns
        if isinstance(column, OrderedColumn) and column.is_plain_number
    ]
    return columns if len(columns) == len(fitted.columns) else None


def array_shape(model: ExplainedModel) -> tuple[int, ...] | None:
    """Return [channels, length] or [channels, height, width] where rows are signals or images.

    They are where the config says so, or where the names number pixels that resemble each other.
    """
    fitted = model.fitted
    if fitted.shape is not None:
        return fitted.shape if len(fitted.shape) > 1 else None
    if plain_numbers(fitted) is None:
        return None
    grid = find_grid([column.name for column in fitted.columns])
    if grid is None or math.prod(grid) != len(fitted.columns):
        return None
    features = next(iter(model.parts.values())).encoded.inputs[NUMBERS].cpu().numpy()
    return (1, *grid) if resembles_image(features, grid) else None
