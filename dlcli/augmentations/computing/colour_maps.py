"""Colours as linear maps of an image's channels; imported where they are computed."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.augmentations.computing.blocks import blocks

_GREY = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow and torchvision
# The two axes of colour of YIQ, which have no grey in them.
_YIQ = (_GREY, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True)
class Factors:
    """What is multiplied in each image, [rows]; None: nothing."""

    brightness: Tensor | None = None
    contrast: Tensor | None = None
    saturation: Tensor | None = None  # with 3 channels alone
    hue: Tensor | None = None  # a turn, as a share of the circle; with 3 channels alone


def change_colours(images: Tensor, factors: Factors, white: float) -> None:
    """Give images, float32 [rows, channels, height, width], other colours, in the same memory.

    Contrast is about the mean grey of an image. Values stay from 0 to `white`.
    """
    channels = images.shape[1]
    grey = torch.tensor(_GREY if channels == 3 else [1 / channels] * channels).to(images)
    matrix = torch.eye(channels).to(images).expand(len(images), -1, -1)
    offset = None
    if factors.brightness is not None:
        matrix = matrix * factors.brightness[:, None, None]
    if factors.contrast is not None:
        mean = _grey_mean(images, grey)
        if factors.brightness is not None:
            mean = mean * factors.brightness
        offset = (mean * (1 - factors.contrast))[:, None]
        matrix = matrix * factors.contrast[:, None, None]
    if factors.saturation is not None:
        share = factors.saturation[:, None, None]
        matrix = _product(share * torch.eye(3).to(images) + (1 - share) * grey, matrix)
    if factors.hue is not None:
        matrix = _product(_hue_turns(factors.hue), matrix)
    if factors.saturation is None and factors.hue is None:  # each channel by itself
        images *= matrix[:, :1, :1, None]
    else:
        for block in blocks(images):
            flat = images[block].flatten(2)
            images[block] = torch.bmm(matrix[block], flat).view(images[block].shape)
    if offset is not None:
        images += offset[..., None, None]
    images.clamp_(0, white)


def _grey_mean(images: Tensor, grey: Tensor) -> Tensor:
    """Return the mean grey of each image, [rows]."""
    return (images.mean((2, 3)) * grey).sum(1)


def _hue_turns(turns: Tensor) -> Tensor:
    """Return the maps that turn the hue, [rows, 3, 3]."""
    to_yiq = torch.tensor(_YIQ, dtype=torch.float64)
    back = torch.linalg.inv(to_yiq).to(turns)
    cos, sin = (turns * (2 * math.pi)).cos(), (turns * (2 * math.pi)).sin()
    turned = torch.zeros(len(turns), 3, 3).to(turns)
    turned[:, 0, 0] = 1
    turned[:, 1, 1], turned[:, 1, 2], turned[:, 2, 1], turned[:, 2, 2] = cos, -sin, sin, cos
    return _product(back.expand_as(turned), _product(turned, to_yiq.to(turns).expand_as(turned)))


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Return products of small matrices, summed in one order."""
    return (first[:, :, :, None] * second[:, None]).sum(2)
