"""Changes of images' tones, as Pillow has them; imported where they are computed.

Images are float32 [rows, channels, height, width], from 0 to 255, and so is what comes out.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d


def sharpened(images: Tensor, factors: Tensor) -> Tensor:
    """Return images that are sharper, for factors [rows] above 1, or smoother.

    0: smoothed by a window of 3 × 3 pixels, but for the outermost pixels.
    """
    channels, height, width = images.shape[1:]
    if min(height, width) < 3:
        return images
    window = torch.ones(3, 3).to(images)
    window[1, 1] = 5
    smooth = images.clone()
    kernel = (window / window.sum()).expand(channels, 1, 3, 3)
    smooth[:, :, 1:-1, 1:-1] = conv2d(images, kernel, groups=channels).round()
    return (smooth + factors[:, None, None, None] * (images - smooth)).clamp(0, 255)


def posterized(images: Tensor, bits: Tensor) -> Tensor:
    """Return images of fewer bits, [rows], a channel: the lower ones are 0."""
    step = (2.0 ** (8 - bits))[:, None, None, None]
    return (images.round() / step).floor() * step


def solarized(images: Tensor, thresholds: Tensor) -> Tensor:
    """Return images whose values from a threshold [rows] on are inverted."""
    return torch.where(images >= thresholds[:, None, None, None], 255 - images, images)


def stretched(images: Tensor) -> Tensor:
    """Return images of which each channel goes from 0 to 255; a constant one stays as it is."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) * (255 / span.clamp(min=1e-6)), images)


def equalized(images: Tensor) -> Tensor:
    """Return images of which each channel has as many pixels of any value, as far as that goes.

    The histogram's equalisation of Pillow: a channel of one or two values stays as it is.
    """
    rows, channels, height, width = images.shape
    values = images.round().clamp(0, 255).long().view(rows * channels, -1)
    counts = torch.zeros(rows * channels, 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(1, values, torch.ones_like(values))
    last = counts.gather(1, values.amax(1, keepdim=True))[:, 0]  # of the largest value
    step = (height * width - last) // 255
    before = counts.cumsum(1) - counts + (step // 2)[:, None]
    table = (before // step.clamp(min=1)[:, None]).clamp(max=255)
    equal = table.gather(1, values).view(images.shape).float()
    return torch.where((step > 0).view(rows, channels, 1, 1), equal, images)
