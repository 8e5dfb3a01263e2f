"""Partial dependence: how predictions change as one column does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from dlcli.columns.base import Axis, Column, OrderedColumn
from dlcli.columns.image import FileColumn
from dlcli.columns.ragged import RaggedColumn
from dlcli.data.fields import Slots
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.features import (
    array_shape,
    encode_cells,
)
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, work_per_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.weighted import quantiles
from dlcli.training.rows.batches import Rows

MAX_COLUMNS = 4
MAX_CURVES = 5  # of classes
MAX_CATEGORIES = 12
_MAX_GRID_POINTS = 25  # of numbers and dates
_MAX_ROWS, _MIN_ROWS = 500, 20
_MAX_WORK = 1e10  # multiplications: a second
_MAX_LINES = 10


@dataclass(frozen=True)
class ColumnDependence:
    """The predictions with a column set to one value after the other, in all rows."""

    name: str  # of the column
    axis: Axis  # of its values; those of "time" are seconds since 1970 UTC
    grid: tuple[float, ...] | tuple[str | None, ...]  # the values; None: missing
    mean: np.ndarray  # [grid, curves]
    low: np.ndarray  # [grid, curves], the 10 % quantile over rows
    high: np.ndarray  # [grid, curves], the 90 % quantile
    lines: np.ndarray  # [grid, some rows, curves]
    row_values: np.ndarray  # the known values of the rows, or how many rows each category has
    num_left_out: int  # categories that are rarer


@dataclass(frozen=True)
class PartialDependence:
    """Partial dependence on several columns."""

    sample: SampledRows
    curves: tuple[str, ...]  # classes whose probabilities are predicted, or the target
    num_classes: int  # or labels; 0 for numbers
    columns: tuple[ColumnDependence, ...]
    without: tuple[str, ...]  # columns with a single value, or none


def measure_partial_dependence(
    model: ExplainedModel, names: Sequence[str]
) -> PartialDependence | Unavailable:
    """Set each of the named columns to value after value in the held-out rows, and predict.

    Friedman (2001), Greedy function approximation; single rows' lines are the individual
    conditional expectations of Goldstein et al. (2015). Numbers and dates go from the 5 % to the
    95 % quantile of the rows, categories from the most frequent one on.
    """
    if array_shape(model) is not None:
        return Unavailable("single pixels or points say little")
    work = MAX_COLUMNS * _MAX_GRID_POINTS * work_per_row(model.plan)
    max_rows = min(_MAX_ROWS, max(_MIN_ROWS, int(_MAX_WORK / work)))
    sample = sample_rows(model, "dependence", max_rows)
    every = sample_rows(model, "dependence")
    slots = model.fitted.slots()
    by_name = {column.name: column for column in model.fitted.columns}
    names = [name for name in names if not isinstance(by_name[name], FileColumn | RaggedColumn)]
    if not names:
        return Unavailable("images and sequences have no order to go through")
    chosen = _choose_curves(model)
    found = [_of_column(model, sample, every, by_name[name], slots[name], chosen) for name in names]
    if not any(one is not None for one in found):
        return Unavailable("no column has two different values among the rows")
    target = model.target
    classes = target.score_names
    return PartialDependence(
        sample=sample,
        curves=tuple(classes[k] for k in chosen) if classes else (target.name,),
        num_classes=len(classes),
        columns=tuple(dependence for dependence in found if dependence is not None),
        without=tuple(
            name for name, dependence in zip(names, found, strict=True) if dependence is None
        ),
    )


def _choose_curves(model: ExplainedModel) -> list[int]:
    """Return the classes to show: the positive one of two, or the most frequent ones."""
    target = model.target
    if not target.score_names:
        return []
    if len(target.class_names) == 2:
        return [1]
    frequent = np.argsort(-np.array(target.score_totals), kind="stable")
    return sorted(frequent[:MAX_CURVES].tolist())


def _of_column(
    model: ExplainedModel,
    sample: SampledRows,
    every: SampledRows,
    column: Column,
    slots: Slots,
    chosen: Sequence[int],
) -> ColumnDependence | None:
    """Return the dependence on one column; None where all of its cells are the same."""
    fitted, table = model.fitted, every.rows.table
    grid: tuple[float, ...] | tuple[str | None, ...]
    num_left_out = 0
    if column.axis == "category" or not isinstance(column, OrderedColumn):
        labels = column.labels(table, fitted.missing_values)
        counts = labels.rename("").value_counts(sort=True, name="count")
        ordered = sorted(counts.rows(), key=lambda pair: (-pair[1], pair[0] or ""))
        num_left_out = max(0, len(ordered) - MAX_CATEGORIES)
        grid = tuple(label for label, _ in ordered[:MAX_CATEGORIES])
        row_values = np.array([count for _, count in ordered[:MAX_CATEGORIES]])
        cells = pl.Series(grid, dtype=pl.String)
    else:
        values = column.numbers(table, fitted.missing_values)
        row_values = values[~np.isnan(values)]
        grid = _choose_grid(row_values)
        cells = column.to_cells(np.array(grid))
    if len(grid) < 2:
        return None
    predictions = _predict(model, sample.rows.encoded, slots, encode_cells(fitted, column, cells))
    predictions = (
        predictions[:, :, list(chosen)] if predictions.ndim == 3 else predictions[:, :, None]
    )
    weights = model.weights(sample.rows.encoded)
    of_rows = None if weights is None else weights[None, None]  # [grid, curves, rows]
    low, high = quantiles(predictions, [0.1, 0.9], 1, of_rows)
    lines = np.linspace(0, len(sample) - 1, min(_MAX_LINES, len(sample))).astype(np.int64)
    return ColumnDependence(
        name=column.name,
        axis=column.axis,
        grid=grid,
        mean=np.average(predictions, axis=1, weights=weights),
        low=low,
        high=high,
        lines=predictions[:, lines],
        row_values=row_values,
        num_left_out=num_left_out,
    )


def _choose_grid(values: np.ndarray) -> tuple[float, ...]:
    """Return the distinct values where they are few, otherwise evenly spaced ones."""
    if not len(values):
        return ()
    low, high = np.quantile(values, [0.05, 0.95])
    if low == high:
        low, high = values.min(), values.max()
    distinct = np.unique(values[(values >= low) & (values <= high)])
    if 2 <= len(distinct) <= _MAX_GRID_POINTS or low == high:
        return tuple(distinct.tolist())
    return tuple(np.linspace(low, high, _MAX_GRID_POINTS).tolist())


def _predict(model: ExplainedModel, rows: Rows, slots: Slots, encoded: np.ndarray) -> np.ndarray:
    """Return the predictions with a column as each of `encoded`, [grid, rows] or with classes."""
    changed = rows.inputs[slots.field].clone()
    predictions = []
    for cells in torch.tensor(encoded, device=rows.device):
        changed[:, slots.indices] = cells
        predictions.append(model.predict({**rows.inputs, slots.field: changed}))
    return np.stack(predictions)
