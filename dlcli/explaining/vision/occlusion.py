"""Occlusion: what a prediction loses where a part of the image is covered."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import ImageLayers
from dlcli.explaining.vision.first_layer import first_input, score
from dlcli.training.rows.batches import Tensors

_SHARE_OF_SIDE = 4  # the square's side is the image's shorter one divided by this
_BLOCK_ROWS = 64


@dataclass(frozen=True)
class Squares:
    """The squares that cover an image in turn."""

    side: int  # pixels
    step: int  # pixels from one to the next
    covered: np.ndarray  # bool [squares, height, width]


def squares_over(height: int, width: int, *, is_fine: bool) -> Squares:
    """Return squares over an image; fine ones overlap by half, so that all pixels count alike."""
    side = max(1, round(min(height, width) / _SHARE_OF_SIDE))
    step = max(1, side // 2) if is_fine else side
    rows, columns = (
        np.array(
            [
                (np.arange(size) >= start) & (np.arange(size) < start + side)
                for start in range(step - side, size, step)
            ]
        )
        for size in (height, width)
    )
    covered = rows[:, np.newaxis, :, np.newaxis] & columns[np.newaxis, :, np.newaxis, :]
    return Squares(side, step, covered.reshape(-1, height, width))


def occlusion(
    model: ExplainedModel,
    layers: ImageLayers,
    squares: Squares,
    color: Tensor,
    inputs: Tensors,
    classes: Tensor | None,
) -> np.ndarray:
    """Return by how much covering each pixel lowers the score, float64 [rows, height, width].

    Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks",
    arXiv:1311.2901: a square of one colour, [channels, 1, 1] in what the first layer gets, covers a
    part of the image, and a pixel has the mean of the squares that cover it.
    """
    num_rows = len(next(iter(inputs.values())))
    maps = []
    for row in range(num_rows):
        of_row = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
        its_class = None if classes is None else classes[row : row + 1]
        maps.append(_of_image(model, layers, squares, color, of_row, its_class))
    return np.stack(maps)


def _of_image(
    model: ExplainedModel,
    layers: ImageLayers,
    squares: Squares,
    color: Tensor,
    inputs: Tensors,
    its_class: Tensor | None,
) -> np.ndarray:
    plain = np.zeros((1, *squares.covered.shape[1:]), bool)
    covered = torch.from_numpy(np.concatenate([plain, squares.covered])).to(color.device)
    found: list[Tensor] = []
    network = model.network.eval()
    with torch.inference_mode(), model.placement.autocast():
        for masks in torch.split(covered[:, None], _BLOCK_ROWS):

            def see(images: Tensor, masks: Tensor = masks) -> Tensor:
                return torch.where(masks, color.to(images.dtype), images)

            copies = {
                name: tensor.expand(len(masks), *tensor.shape[1:])
                for name, tensor in inputs.items()
            }
            classes = None if its_class is None else its_class.expand(len(masks))
            with first_input(model, layers, see):
                found.append(score(network(copies).float(), classes).cpu())
    scores = torch.cat(found).double().numpy()
    losses = (scores[0] - scores[1:])[:, np.newaxis, np.newaxis]
    total: np.ndarray = (losses * squares.covered).sum(axis=0) / squares.covered.sum(axis=0)
    return total
