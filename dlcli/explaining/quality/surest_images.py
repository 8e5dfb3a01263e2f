"""The images of which a network is surest, of each class."""

from dataclasses import dataclass

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.explaining.explained_model import ExplainedRows
from dlcli.explaining.quality.bootstrap import Predictions
from dlcli.explaining.quality.largest_errors import JudgedRow, judged_rows
from dlcli.explaining.row_images import row_images

NUM_IMAGES, MAX_CLASSES = 10, 20


@dataclass(frozen=True)
class SurestImages:
    """Images by predicted class, the highest probability first."""

    rows: tuple[JudgedRow, ...]
    images: np.ndarray  # [rows, channels, height, width]
    num_each: int  # images of a class, or fewer where it is predicted less often
    num_classes: int  # whose images are shown: the first of many
    never: tuple[str, ...]  # those of them that are never predicted


def find_surest_images(
    rows: ExplainedRows, predictions: Predictions, truth: np.ndarray, fitted: FittedData
) -> SurestImages | None:
    """Return the images predicted as each class with the highest probability; None: no images.

    `truth` is class indices [rows]. Equal probabilities are in the order of the file.
    """
    names = fitted.target.class_names[:MAX_CLASSES]
    predicted = predictions.values.argmax(axis=1)
    num_each = max(1, NUM_IMAGES // len(names))
    chosen: list[int] = []
    never = []
    for index, name in enumerate(names):
        found = np.flatnonzero(predicted == index)
        sureness = predictions.values[found, index]
        chosen += found[np.argsort(-sureness, kind="stable")[:num_each]].tolist()
        if not len(found):
            never.append(name)
    places = np.array(chosen, np.int64)
    images = row_images(fitted, rows.encoded, places)
    if images is None:
        return None
    judged = judged_rows(rows, predictions, truth, fitted, places)
    return SurestImages(judged, images, num_each, len(names), tuple(never))
