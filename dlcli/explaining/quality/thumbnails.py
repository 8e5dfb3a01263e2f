"""Images as a linear model gets them: small."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

MAX_SIDE = 16
_IMAGES_AT_ONCE = 256


def thumbnails(pixels: Tensor) -> np.ndarray:
    """Return images, uint8 [rows, channels, height, width], as float32 [rows, numbers], 0 to 1.

    Each number is an average over a block of pixels; there are `MAX_SIDE` blocks a side at most.
    """
    size = (min(MAX_SIDE, pixels.shape[2]), min(MAX_SIDE, pixels.shape[3]))
    blocks = [
        adaptive_avg_pool2d(some.float() / 255, size).flatten(1).cpu()
        for some in torch.split(pixels, _IMAGES_AT_ONCE)
    ]
    return torch.cat(blocks).numpy()
