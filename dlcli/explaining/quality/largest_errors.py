"""The rows with the largest losses, as they are in their file."""

from dataclasses import dataclass

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.data.signature import NUMBERS
from dlcli.explaining.explained_model import ExplainedRows
from dlcli.explaining.quality.bootstrap import Predictions
from dlcli.training.rows.batches import Rows

NUM_ROWS = 10
_MIN_SIDE = 4  # of an image
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class ErrorRow:
    """One row, with its true and its predicted value."""

    position: str  # `line 17`
    truth: str | float
    prediction: str | float
    probability: float | None  # of the predicted class; None for a number
    true_probability: float | None  # of the true class; None for a number
    loss: float
    cells: tuple[str | None, ...]  # of the columns; None where missing


@dataclass(frozen=True)
class LargestErrors:
    """The rows with the largest losses, the largest first."""

    source: str  # the file
    columns: tuple[str, ...]  # the features
    rows: tuple[ErrorRow, ...]
    images: np.ndarray | None  # [rows, height, width, channels], where rows are images


def find_largest_errors(
    rows: ExplainedRows, predictions: Predictions, truth: np.ndarray, fitted: FittedData
) -> LargestErrors:
    """Return the rows with the largest losses.

    `truth` is class indices or numbers in the target's units, [rows]. Equal losses are in the
    order of the file.
    """
    worst = np.argsort(-predictions.losses, kind="stable")[:NUM_ROWS]
    columns = tuple(column.name for column in fitted.columns)
    table = rows.table.take(worst)
    frame = table.frame.select(columns)
    target = fitted.target
    found = []
    for index, row in enumerate(worst.tolist()):
        given, cells = predictions.values[row], _cells(frame.row(index), fitted)
        position, loss = table.position(index), float(predictions.losses[row])
        if target.class_names:
            true, predicted = int(truth[row]), int(given.argmax())
            names = target.class_names[true], target.class_names[predicted]
            probabilities = float(given[predicted]), float(given[true])
            found.append(ErrorRow(position, *names, *probabilities, loss, cells))
        else:
            numbers = float(truth[row]), float(given)
            found.append(ErrorRow(position, *numbers, None, None, loss, cells))
    shown = _images(rows.encoded, worst, fitted)
    return LargestErrors(table.source, columns, tuple(found), shown)


def _cells(cells: tuple[object, ...], fitted: FittedData) -> tuple[str | None, ...]:
    """Return a row's cells as text."""
    return tuple(column.cell_text(cell) for cell, column in zip(cells, fitted.columns, strict=True))


def _images(rows: Rows, chosen: np.ndarray, fitted: FittedData) -> np.ndarray | None:
    """Return rows as images [rows, height, width, channels] in their file's units, if they are."""
    shape = fitted.shape
    if shape is None or len(shape) != 3 or shape[0] not in _CHANNELS:
        return None
    if min(shape[1:]) < _MIN_SIDE:
        return None
    numbers = rows.inputs[NUMBERS].cpu().numpy()[chosen]
    if numbers.shape[1] != len(fitted.columns):  # an indicator or a category is no pixel
        return None
    units = [column.unscaled(numbers[:, place]) for place, column in enumerate(fitted.columns)]
    pixels = np.column_stack([unit for unit in units if unit is not None])
    if pixels.shape != numbers.shape:
        return None
    images: np.ndarray = np.moveaxis(pixels.reshape(-1, *shape), 1, -1)
    return images
