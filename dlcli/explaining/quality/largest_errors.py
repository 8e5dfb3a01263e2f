"""The rows with the largest losses, as they are in their file."""

from dataclasses import dataclass

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.explaining.explained_model import ExplainedRows
from dlcli.explaining.quality.bootstrap import Predictions
from dlcli.explaining.row_images import image_field, row_images

NUM_ROWS = 10


@dataclass(frozen=True)
class JudgedRow:
    """One row, with its true and its predicted value."""

    position: str  # `line 17`
    file: str | None  # of its image; None: it has none
    cells: tuple[str | None, ...]  # of the columns; None where missing
    loss: float
    truth: str | float
    prediction: str | float
    probability: float | None  # of the predicted class; None for a number or several labels
    true_probability: float | None  # of the true class


@dataclass(frozen=True)
class LargestErrors:
    """The rows with the largest losses, the largest first."""

    source: str  # the file
    columns: tuple[str, ...]  # the features
    rows: tuple[JudgedRow, ...]
    images: np.ndarray | None  # [rows, channels, height, width], where rows are images


def find_largest_errors(
    rows: ExplainedRows, predictions: Predictions, truth: np.ndarray, fitted: FittedData
) -> LargestErrors:
    """Return the rows with the largest losses.

    `truth` is class indices or numbers in the target's units, [rows]. Equal losses are in the
    order of the file.
    """
    worst = np.argsort(-predictions.losses, kind="stable")[:NUM_ROWS]
    columns = tuple(column.name for column in fitted.columns)
    found = judged_rows(rows, predictions, truth, fitted, worst)
    images = row_images(fitted, rows.encoded, worst)
    return LargestErrors(rows.table.source, columns, found, images)


def judged_rows(
    rows: ExplainedRows,
    predictions: Predictions,
    truth: np.ndarray,
    fitted: FittedData,
    chosen: np.ndarray,
) -> tuple[JudgedRow, ...]:
    """Return chosen rows with their true and their predicted values."""
    table = rows.table.take(chosen)
    frame = table.frame.select([column.name for column in fitted.columns])
    field, target = image_field(fitted), fitted.target
    fields: list[str] = [column.field for column in fitted.columns]
    found = []
    for index, row in enumerate(chosen.tolist()):
        given, cells = predictions.values[row], _cells(frame.row(index), fitted)
        file = None if field is None else cells[fields.index(field.name)]
        place = table.position(index), file, cells, float(predictions.losses[row])
        found.append(JudgedRow(*place, *target.judge(truth[row], given)))
    return tuple(found)


def _cells(cells: tuple[object, ...], fitted: FittedData) -> tuple[str | None, ...]:
    """Return a row's cells as text."""
    return tuple(column.cell_text(cell) for cell, column in zip(cells, fitted.columns, strict=True))
