"""Random rectangles within images; imported where they are drawn."""

import torch
from torch import Tensor

from dlcli.augmentations.computing.draws import Draws


def rectangle_sides(
    area: Tensor, log_ratio: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return heights and widths in whole pixels, int64 [rows], of a share of the image's area.

    `log_ratio` is the logarithm of width over height, for an image as wide as high. They are cut to
    the image's; in a signal, the height is 1.
    """
    if height == 1:
        return torch.ones_like(area).long(), (area * width).round().long().clamp(1, width)
    root = (log_ratio / 2).exp()
    down = (area.sqrt() / root * height).round().long().clamp(1, height)
    across = (area.sqrt() * root * width).round().long().clamp(1, width)
    return down, across


def placed(draws: Draws, down: Tensor, across: Tensor, height: int, width: int) -> Tensor:
    """Return which pixels are in each row's rectangle, bool [rows, 1, height, width].

    It is anywhere in the image, whole.
    """
    top = (draws.uniform("top") * (height - down + 1)).long()
    left = (draws.uniform("left") * (width - across + 1)).long()
    y = _between(top, down, height)[:, None, :, None]
    x = _between(left, across, width)[:, None, None, :]
    return y & x


def _between(start: Tensor, count: Tensor, size: int) -> Tensor:
    """Return which places along an axis are in a stretch, bool [rows, size]."""
    places = torch.arange(size, device=start.device)
    return (places >= start[:, None]) & (places < (start + count)[:, None])
