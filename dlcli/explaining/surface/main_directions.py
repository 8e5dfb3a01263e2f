"""The plane that holds most of how weights differ from others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlcli.explaining.surface.weight_plane import Weights
from dlcli.explaining.unavailable import Unavailable

_BLOCK = 2**16  # numbers of each snapshot that are looked at together
_ROUNDING = 1e-7  # of float32: what moves by less of itself doesn't move
_LINE = 1e-5  # of the first direction's length: with less in the second, there is none


@dataclass(frozen=True)
class MainDirections:
    """Two directions of length 1, at right angles."""

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    points: np.ndarray  # [snapshots, 2], float64: where each is, seen along the directions
    shares: tuple[float, float]  # of the squared distances from the centre


def main_directions(snapshots: Sequence[Weights], center: Weights) -> MainDirections | Unavailable:
    """Find the directions of the largest squared distances from the centre, over all snapshots.

    Principal components about the centre in place of the mean, so that it lies in the plane. They
    come from the inner products of the snapshots alone, of which there are few, however many
    parameters there are. `center` says which parameters count.
    """
    products = _inner_products(snapshots, center)
    sizes, vectors = np.linalg.eigh(products)
    sizes, vectors = np.maximum(sizes[::-1], 0.0), vectors[:, ::-1]
    length = float(torch.stack([own.double().square().sum() for own in center.values()]).sum())
    if np.sqrt(sizes[0]) <= _ROUNDING * np.sqrt(length):
        return Unavailable("the weights are the same in all of them")
    if len(sizes) < 2 or np.sqrt(sizes[1]) <= _LINE * np.sqrt(sizes[0]):
        return Unavailable("they lie on one line, through which there is no main plane")
    lengths = np.sqrt(sizes[:2])
    points = vectors[:, :2] * lengths
    # A direction may point either way: paths come from the left, and mostly from above.
    signs = np.where(points.sum(axis=0) * (1, -1) > 0, -1.0, 1.0)
    points *= signs
    points[np.diag(products) == 0.0] = 0.0
    factors = vectors[:, :2] * signs / lengths
    first, second = (_combine(snapshots, center, factors[:, index]) for index in range(2))
    shares = sizes[:2] / np.trace(products)
    return MainDirections(first, second, points, (float(shares[0]), float(shares[1])))


def _inner_products(snapshots: Sequence[Weights], center: Weights) -> np.ndarray:
    """Return those of the differences to the centre, [snapshots, snapshots]."""
    products = torch.zeros(len(snapshots), len(snapshots), dtype=torch.float64)
    for name, own in center.items():
        flat = [snapshot[name].flatten().cpu() for snapshot in snapshots]
        for start in range(0, own.numel(), _BLOCK):
            block = torch.stack([some[start : start + _BLOCK] for some in flat]).double()
            block -= own.flatten()[start : start + _BLOCK].double().cpu()
            products += block @ block.T
    found: np.ndarray = products.numpy()
    return found


def _combine(
    snapshots: Sequence[Weights], center: Weights, factors: np.ndarray
) -> dict[str, Tensor]:
    """Return the sum of the differences to the centre, each by its factor."""
    combined = {}
    for name, own in center.items():
        total = torch.zeros(own.shape, dtype=torch.float64)
        for snapshot, factor in zip(snapshots, factors.tolist(), strict=True):
            total += factor * (snapshot[name].double().cpu() - own.double().cpu())
        combined[name] = total.to(own)
    return combined
