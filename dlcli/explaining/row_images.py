"""Rows as images to show."""

import numpy as np

from dlcli.data.fields import Field
from dlcli.data.fitted import FittedData
from dlcli.data.signature import NUMBERS
from dlcli.training.rows.batches import Rows

_MIN_SIDE = 4  # pixels; less is no picture
_CHANNELS = (1, 3)  # grey, or red, green and blue


def image_field(fitted: FittedData, column: str | None = None) -> Field | None:
    """Return the input field of a column of decoded images, by default the first one; or None."""
    names = {one.field for one in fitted.columns if column in (None, one.name)}
    fields = (field for field in fitted.input_fields if field.name in names)
    return next(
        (field for field in fields if len(field.shape) == 3 and field.dtype == np.uint8), None
    )


def row_images(
    fitted: FittedData, rows: Rows, chosen: np.ndarray, column: str | None = None
) -> np.ndarray | None:
    """Return chosen rows as images [chosen, channels, height, width], where rows are images.

    Decoded ones are uint8, of a column if one is given; columns of pixels are float64 in the units
    of their file.
    """
    field = image_field(fitted, column)
    if field is not None:
        return _numbers(rows, field.name, chosen) if field.shape[0] in _CHANNELS else None
    shape = fitted.shape
    if shape is None or len(shape) != 3 or shape[0] not in _CHANNELS:
        return None
    if min(shape[1:]) < _MIN_SIDE:
        return None
    numbers = _numbers(rows, NUMBERS, chosen)
    if numbers.shape[1] != len(fitted.columns):  # an indicator or a category is no pixel
        return None
    units = [column.unscaled(numbers[:, place]) for place, column in enumerate(fitted.columns)]
    pixels = np.column_stack([unit for unit in units if unit is not None])
    return pixels.reshape(-1, *shape) if pixels.shape == numbers.shape else None


def _numbers(rows: Rows, field: str, chosen: np.ndarray) -> np.ndarray:
    tensor = rows.inputs[field]
    import torch

    found: np.ndarray = tensor[torch.from_numpy(chosen).to(tensor.device)].cpu().numpy()
    return found
