"""Where a network looks: Grad-CAM and occlusion side by side, for some images of each class."""

from dataclasses import dataclass

import numpy as np
import torch

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import ImageLayers, LayerPosition
from dlcli.explaining.reasons.sampling import SampledRows, sample_rows, work_per_row
from dlcli.explaining.row_images import row_images
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.first_layer import layers_of_images, mean_colors
from dlcli.explaining.vision.grad_cam import grad_cam
from dlcli.explaining.vision.occlusion import Squares, occlusion, squares_over

NOT_FINITE = Unavailable("its predictions are not finite")
MAX_CLASSES = 10
_NUM_SURE, _FEW_CLASSES = 1, 4  # right images of each class; two where classes are so few
_NUM_NUMBERS = 8  # images of a regression
_MAX_ROWS, _MIN_ROWS = 1000, 50
PRODUCTS = 1.5e10  # multiplications per second of a CPU core of 2020, which are counted, not timed
_SHARE_FOR_CHOICE = 0.3  # of the work, for the predictions that images are chosen by


@dataclass(frozen=True)
class SeenImage:
    """An image, and where the network looked for its prediction."""

    position: str  # of its row, as in "line 17"
    truth: str | float
    prediction: str | float
    probability: float | None  # of the predicted class; None for a number
    image: np.ndarray  # [channels, height, width], as `row_images` gives them
    grad_cam: np.ndarray  # [height, width], from 0 upwards
    occlusion: np.ndarray  # [height, width]: how much covering a pixel lowers the score
    agreement: float  # correlation of the two maps, without what is below 0; 0 if one is constant


@dataclass(frozen=True)
class Saliency:
    """Where a network looks in some images."""

    sample: SampledRows  # that the images are chosen from
    images: tuple[SeenImage, ...]
    layer: str  # the module whose output Grad-CAM is of
    layer_size: tuple[int, int]  # positions of that output
    side: int  # pixels of the square that covers
    step: int  # pixels from one square to the next
    num_classes: int  # 0 for a regression
    num_left_out: int  # images that would have been too much work


def find_saliency(model: ExplainedModel, *, seconds: float) -> Saliency | Unavailable:
    """Ask where the network looks, for its prediction of each image, in about so many seconds.

    Of each class, the image that it is surest of is taken, and the one with that true class that
    it gets most wrong; of numbers, those with the smallest and the largest residuals.
    """
    if model.target.has_labels:
        return Unavailable("no single label stands for the prediction of an image")
    seeing = layers_of_images(model)
    if isinstance(seeing, Unavailable):
        return seeing
    layers = [
        (place, position)
        for place, position in seeing.with_filters()
        if min(position.planned.output_shape[1:]) > 1
    ]
    if not layers:
        return Unavailable("no layer keeps the places of an image")
    work = work_per_row(model.plan)
    max_rows = int(_SHARE_FOR_CHOICE * seconds * PRODUCTS / work)
    sample = sample_rows(model, "saliency", min(_MAX_ROWS, max(_MIN_ROWS, max_rows)))
    predictions = model.predict(sample.rows.encoded.inputs)
    if not np.isfinite(predictions).all():
        return NOT_FINITE
    chosen = _choose(model, sample, predictions)
    squares, num_shown = _affordable(model, seeing, len(chosen), (1 - _SHARE_FOR_CHOICE) * seconds)
    shown = chosen[:num_shown]
    images = row_images(model.fitted, sample.rows.encoded, shown, seeing.column)
    if images is None:
        return Unavailable("its images can't be shown")
    place, position = layers[-1]
    return Saliency(
        sample=sample,
        images=_see(model, sample, predictions, shown, images, squares, seeing, (place, position)),
        layer=position.module,
        layer_size=position.planned.output_shape[1:],  # type: ignore[arg-type]
        side=squares.side,
        step=squares.step,
        num_classes=len(model.target.class_names),
        num_left_out=len(chosen) - num_shown,
    )


def _affordable(
    model: ExplainedModel, seeing: ImageLayers, num_images: int, seconds: float
) -> tuple[Squares, int]:
    """Return the squares, and how many images they can cover in about so many seconds."""
    _, height, width = seeing.layers[0].input_shape
    max_rows = seconds * PRODUCTS / work_per_row(model.plan)
    for is_fine in (True, False):
        squares = squares_over(height, width, is_fine=is_fine)
        if num_images * len(squares.covered) <= max_rows:
            return squares, num_images
    return squares, max(1, min(num_images, int(max_rows / len(squares.covered))))


def _choose(model: ExplainedModel, sample: SampledRows, predictions: np.ndarray) -> np.ndarray:
    """Return the rows of a sample whose images are shown, int64 [images]."""
    truth = model.truth(sample.rows.encoded)
    if predictions.ndim == 1:
        order = np.argsort(np.abs(truth - predictions), kind="stable")
        half = min(_NUM_NUMBERS, len(order)) // 2
        return np.concatenate(
            [order[: len(order[:_NUM_NUMBERS]) - half], order[len(order) - half :]]
        )
    predicted, sureness = predictions.argmax(axis=1), predictions.max(axis=1)
    of_truth = predictions[np.arange(len(truth)), truth]
    num_classes = predictions.shape[1]
    num_wrong = np.bincount(truth[predicted != truth], minlength=num_classes)
    shown = np.sort(np.argsort(-num_wrong, kind="stable")[:MAX_CLASSES])
    num_sure = _NUM_SURE if num_classes > _FEW_CLASSES else 2 * _NUM_SURE
    found: list[int] = []
    for index in shown:
        right = np.flatnonzero((truth == index) & (predicted == index))
        wrong = np.flatnonzero((truth == index) & (predicted != index))
        found += right[np.argsort(-sureness[right], kind="stable")[:num_sure]].tolist()
        found += wrong[np.argsort(of_truth[wrong], kind="stable")[:1]].tolist()
    return np.array(found, np.int64)


def _see(
    model: ExplainedModel,
    sample: SampledRows,
    predictions: np.ndarray,
    chosen: np.ndarray,
    images: np.ndarray,
    squares: Squares,
    seeing: ImageLayers,
    layer: tuple[int, LayerPosition],
) -> tuple[SeenImage, ...]:
    device = sample.rows.encoded.device
    indices = torch.from_numpy(chosen).to(device)
    inputs = {name: tensor[indices] for name, tensor in sample.rows.encoded.inputs.items()}
    names = model.target.class_names
    classes = torch.from_numpy(predictions[chosen].argmax(axis=1)).to(device) if names else None
    color = mean_colors(model, seeing, sample.rows.encoded.inputs)
    place, position = layer
    maps = grad_cam(model, seeing.layers[: place + 1], position, inputs, classes)
    losses = occlusion(model, seeing, squares, color, inputs, classes)
    truth = model.truth(sample.rows.encoded)
    found = []
    for index, row in enumerate(chosen.tolist()):
        given = predictions[row]
        found.append(
            SeenImage(
                position=sample.rows.table.position(row),
                truth=names[int(truth[row])] if names else float(truth[row]),
                prediction=names[int(given.argmax())] if names else float(given),
                probability=float(given.max()) if names else None,
                image=images[index],
                grad_cam=maps[index],
                occlusion=losses[index],
                agreement=_correlation(maps[index], losses[index].clip(min=0)),
            )
        )
    return tuple(found)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
