"""Images as the first layer gets them, and the score of what is predicted from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import ImageLayers, image_layers
from dlcli.explaining.unavailable import Unavailable
from dlcli.training.rows.batches import Tensors

_NUM_ROWS = 64  # whose mean colour is that of all
MIN_SIDE = 4  # pixels of an image; less has no places to look at


def layers_of_images(model: ExplainedModel) -> ImageLayers | Unavailable:
    """Return the layers that get images, or why there are none."""
    found = image_layers(model.plan)
    if found is None or min(found.layers[0].input_shape[1:]) < MIN_SIDE:
        return Unavailable("rows are no images")
    if found.layers[0].members is not None:
        return Unavailable("each member of the ensemble computes the first layer for itself")
    return found


@contextmanager
def first_input(
    model: ExplainedModel, layers: ImageLayers, see: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Call `see` with what the first layer gets, within the block; its result replaces that."""

    def hook(_module: object, inputs: tuple[Tensor, ...]) -> Tensor | None:
        return see(inputs[0])

    handle = model.network.get_submodule(layers.first).register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def mean_colors(model: ExplainedModel, layers: ImageLayers, inputs: Tensors) -> Tensor:
    """Return the mean of each channel of what the first layer gets, [channels, 1, 1].

    That of the first rows, where they are many: the network is asked for them.
    """
    found: list[Tensor] = []

    def see(images: Tensor) -> None:
        found.append(images.float().mean(dim=(0, 2, 3)))

    network = model.network.eval()
    with first_input(model, layers, see), torch.inference_mode(), model.placement.autocast():
        network({name: tensor[:_NUM_ROWS] for name, tensor in inputs.items()})
    return found[0][:, None, None]


def score(outputs: Tensor, classes: Tensor | None) -> Tensor:
    """Return what is explained, [rows]: the log-odds of a class of each row, or the number.

    `outputs` are the network's, [rows, outputs]; `classes` are indices, int64 [rows].
    """
    if classes is None:
        return outputs[:, 0]
    if outputs.shape[1] == 1:
        return torch.where(classes == 1, outputs[:, 0], -outputs[:, 0])
    chosen = torch.nn.functional.one_hot(classes, outputs.shape[1]).bool()
    others = outputs.masked_fill(chosen, -torch.inf)
    return outputs[chosen] - others.logsumexp(dim=1)
