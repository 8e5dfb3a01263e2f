"""Moving the pixels of images, each image by a matrix of its own; imported where that is done.

A matrix maps (x, y, 1) of the result to (x, y, 1) of the original, in pixels from the centre.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def affine(
    like: Tensor,
    *,
    a: Tensor | None = None,
    b: Tensor | None = None,
    c: Tensor | None = None,
    d: Tensor | None = None,
    x: Tensor | None = None,
    y: Tensor | None = None,
) -> Tensor:
    """Return [[a, b, x], [c, d, y], [0, 0, 1]] for each row, those of the identity by default.

    Numbers are float32 [rows]; so are the rows of `like`, whatever it holds.
    """
    rows = len(like)
    matrix = torch.eye(3, device=like.device).repeat(rows, 1, 1)
    for (row, column), values in zip(
        ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 2)), (a, b, c, d, x, y), strict=True
    ):
        if values is not None:
            matrix[:, row, column] = values
    return matrix


def rotations(like: Tensor, angles: Tensor) -> Tensor:
    """Return the matrices of rotations, by radians [rows]."""
    return affine(like, a=angles.cos(), b=-angles.sin(), c=angles.sin(), d=angles.cos())


def composed(matrices: list[Tensor]) -> Tensor:
    """Return the matrices of several moves, the first of which is done first."""
    total = matrices[0]
    for matrix in matrices[1:]:
        # Summed in a fixed order, one element at a time, which no library's product promises.
        terms = (total[:, :, inner, None] * matrix[:, None, inner] for inner in range(3))
        total = sum(terms, start=torch.zeros_like(total))
    return total


def copied(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images [rows, channels, height, width], of any type, whose pixels are moved.

    Each comes from a place of a pixel, as flips and whole shifts have it. Beyond an edge is the
    image's reflection, without its outermost pixels.
    """
    height, width = images.shape[2:]
    columns = _places(matrices[:, 0, 0], matrices[:, 0, 2], width)
    rows = _places(matrices[:, 1, 1], matrices[:, 1, 2], height)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None]
    flat = images.flatten(2)
    return flat.gather(2, places.expand(flat.shape)).view(images.shape)


def resampled(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images [rows, channels, height, width], float32, whose pixels are moved to anywhere.

    Each is interpolated from four; beyond an edge is the same as in `copied`.
    """
    height, width = images.shape[2:]
    x = _centred(width, images)[None, None, :]
    y = _centred(height, images)[None, :, None]
    # As grid_sample counts: from -1 to 1 between the centres of the outermost pixels.
    axes = (
        (m[:, 0, None, None] * x + m[:, 1, None, None] * y + m[:, 2, None, None])
        * (2 / max(size - 1, 1))
        for m, size in ((matrices[:, 0], width), (matrices[:, 1], height))
    )
    grid = torch.stack([*axes], dim=3)
    return grid_sample(images.float(), grid, padding_mode="reflection", align_corners=True)


def _centred(size: int, like: Tensor) -> Tensor:
    """Return the places of pixels from the centre, float32 [size]."""
    return torch.arange(size, device=like.device, dtype=torch.float32) - (size - 1) / 2


def _places(factors: Tensor, shifts: Tensor, size: int) -> Tensor:
    """Return of which place along an axis each pixel is, int64 [rows, size]."""
    centre = (size - 1) / 2
    places = factors[:, None] * _centred(size, factors) + shifts[:, None] + centre
    whole = places.round().long().abs()
    period = max(2 * (size - 1), 1)
    whole = whole % period
    return torch.minimum(whole, period - whole) if size > 1 else whole * 0
