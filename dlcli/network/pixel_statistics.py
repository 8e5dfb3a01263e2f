"""The mean and standard deviation of images' channels: those of training images."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dlcli.network.inputs import InputStage
from dlcli.network.plan import EMBEDDINGS, Plan

MAX_IMAGES = 512  # more hardly change the mean of so many pixels


def fit_pixel_scaling(
    network: nn.Module, plan: Plan, inputs: Mapping[str, Tensor], weights: Tensor | None
) -> None:
    """Set the scaling of each image column by the mean and standard deviation of its channels.

    They are those of all pixels of some training images, given by input field, each counting as
    much as `weights` [rows] say: exact sums over the 256 values that a pixel can have, so that
    nothing depends on the device. A channel that is the same everywhere has the deviation 1. Images
    whose scaling came with the weights of a layer are left out.
    """
    images = plan.signature.pixels
    stage = network.get_submodule(EMBEDDINGS)
    assert isinstance(stage, InputStage), "the first module"
    for place in plan.unscaled_images:
        mean, std = _statistics(inputs[images[place].field], weights)
        scaling = stage.pixels[place]
        for name, values in (("mean", mean), ("std", std)):
            scaling.get_buffer(name).copy_(torch.from_numpy(values)[:, None, None])


def _statistics(pixels: Tensor, weights: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of uint8 [rows, channels, height, width], [channels]."""
    images = pixels.cpu().numpy()
    num_rows, num_channels = images.shape[:2]
    relative = np.ones(num_rows) if weights is None else weights.cpu().numpy().astype(np.float64)
    counts = np.zeros((num_channels, 256))
    for image, weight in zip(images, relative, strict=True):
        for channel, values in enumerate(image):
            counts[channel] += weight * np.bincount(values.ravel(), minlength=256)
    counts /= counts.sum(axis=1, keepdims=True)
    levels = np.arange(256)
    mean = counts @ levels
    std = np.sqrt((counts * (levels - mean[:, None]) ** 2).sum(axis=1))
    return mean, np.where(std > 0, std, 1.0)
