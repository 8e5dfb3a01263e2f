"""How a network's answers change as one column does: partial dependence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from dlcli.columns.base import Axis, Column, OrderedColumn
from dlcli.data.fields import Slots
from dlcli.data.target import ClassTarget
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.features import (
    array_shape,
    encode_cells,
)
from dlcli.explaining.reasons.sampling import SampledRows, asked_rows, work_a_row
from dlcli.explaining.unavailable import Unavailable
from dlcli.training.rows.batches import Rows

MAX_COLUMNS = 4
MAX_CURVES = 5  # of classes
MAX_CATEGORIES = 12
_MAX_PLACES = 25  # of numbers and dates
_MAX_ROWS, _MIN_ROWS = 500, 20
_MAX_WORK = 1e10  # multiplications: a second
_MAX_LINES = 10


@dataclass(frozen=True)
class Dependence:
    """The answers with one column's cells set to one value after the other, in all rows."""

    column: str
    axis: Axis  # of its values; those of "datetime" are seconds since 1970 UTC
    places: tuple[float, ...] | tuple[str | None, ...]  # the values; None: missing
    mean: np.ndarray  # [places, curves]
    low: np.ndarray  # [places, curves], the 10 % quantile over rows
    high: np.ndarray  # [places, curves], the 90 % quantile
    lines: np.ndarray  # [places, some rows, curves]
    found: np.ndarray  # the rows' own values that are known, or how many rows each category has
    num_left_out: int  # categories that are rarer


@dataclass(frozen=True)
class Dependences:
    """Those of some columns."""

    asked: SampledRows
    curves: tuple[str, ...]  # classes whose probability it is, or the target whose number it is
    num_classes: int  # 0 for numbers
    columns: tuple[Dependence, ...]
    without: tuple[str, ...]  # columns that have one value only, or none


def measure_dependence(subject: ExplainedModel, names: Sequence[str]) -> Dependences | Unavailable:
    """Set each of the named columns to value after value in the held-out rows, and encode again.

    Friedman (2001), Greedy function approximation; single rows' lines are the individual
    conditional expectations of Goldstein et al. (2015). Numbers and dates go from the 5 % to the
    95 % quantile of the rows' own, categories from the most frequent one on.
    """
    if array_shape(subject) is not None:
        return Unavailable("a single pixel or point says little by itself")
    work = MAX_COLUMNS * _MAX_PLACES * work_a_row(subject.plan)
    most = min(_MAX_ROWS, max(_MIN_ROWS, int(_MAX_WORK / work)))
    asked = asked_rows(subject, "dependence", most)
    every = asked_rows(subject, "dependence")
    slots = subject.fitted.slots()
    by_name = {column.name: column for column in subject.fitted.columns}
    chosen = _choose_curves(subject)
    found = [
        _of_column(subject, asked, every, by_name[name], slots[name], chosen) for name in names
    ]
    if not any(own is not None for own in found):
        return Unavailable("no column has two different values among the rows")
    target = subject.target
    classes = target.classes if isinstance(target, ClassTarget) else ()
    return Dependences(
        asked=asked,
        curves=tuple(classes[k] for k in chosen) if classes else (target.name,),
        num_classes=len(classes),
        columns=tuple(own for own in found if own is not None),
        without=tuple(name for name, own in zip(names, found, strict=True) if own is None),
    )


def _choose_curves(subject: ExplainedModel) -> list[int]:
    """Return the classes that are followed: the positive one of two, or the most frequent ones."""
    target = subject.target
    if not isinstance(target, ClassTarget):
        return []
    if len(target.classes) == 2:
        return [1]
    frequent = np.argsort(-np.array(target.counts), kind="stable")
    return sorted(frequent[:MAX_CURVES].tolist())


def _of_column(
    subject: ExplainedModel,
    asked: SampledRows,
    every: SampledRows,
    column: Column,
    slots: Slots,
    chosen: Sequence[int],
) -> Dependence | None:
    """Ask about one column; None where its cells are all alike."""
    fitted, table = subject.fitted, every.rows.table
    places: tuple[float, ...] | tuple[str | None, ...]
    num_left_out = 0
    if column.axis == "category" or not isinstance(column, OrderedColumn):
        labels = column.labels(table, fitted.missing_values)
        counts = labels.rename("").value_counts(sort=True, name="count")
        ordered = sorted(counts.rows(), key=lambda pair: (-pair[1], pair[0] or ""))
        num_left_out = max(0, len(ordered) - MAX_CATEGORIES)
        places = tuple(label for label, _ in ordered[:MAX_CATEGORIES])
        own = np.array([count for _, count in ordered[:MAX_CATEGORIES]])
        cells = pl.Series(places, dtype=pl.String)
    else:
        values = column.numbers(table, fitted.missing_values)
        own = values[~np.isnan(values)]
        places = _spread(own)
        cells = column.to_cells(np.array(places))
    if len(places) < 2:
        return None
    answers = _ask(subject, asked.rows.encoded, slots, encode_cells(fitted, column, cells))
    answers = answers[:, :, list(chosen)] if answers.ndim == 3 else answers[:, :, None]
    low, high = np.quantile(answers, [0.1, 0.9], axis=1)
    lines = np.linspace(0, len(asked) - 1, min(_MAX_LINES, len(asked))).astype(np.int64)
    return Dependence(
        column=column.name,
        axis=column.axis,
        places=places,
        mean=answers.mean(axis=1),
        low=low,
        high=high,
        lines=answers[:, lines],
        found=own,
        num_left_out=num_left_out,
    )


def _spread(values: np.ndarray) -> tuple[float, ...]:
    """Return the values themselves where they are few, and otherwise places between them."""
    if not len(values):
        return ()
    low, high = np.quantile(values, [0.05, 0.95])
    if low == high:
        low, high = values.min(), values.max()
    distinct = np.unique(values[(values >= low) & (values <= high)])
    if 2 <= len(distinct) <= _MAX_PLACES or low == high:
        return tuple(distinct.tolist())
    return tuple(np.linspace(low, high, _MAX_PLACES).tolist())


def _ask(subject: ExplainedModel, rows: Rows, slots: Slots, encoded: np.ndarray) -> np.ndarray:
    """Return the answers with a column as each of `encoded`, [places, rows] or with classes."""
    changed = rows.inputs[slots.field].clone()
    answers = []
    for cells in torch.tensor(encoded, device=rows.device):
        changed[:, slots.indices] = cells
        answers.append(subject.answers({**rows.inputs, slots.field: changed}))
    return np.stack(answers)
