"""Images that look alike: copies that were scaled, compressed anew, or made brighter or darker.

Each image is reduced to 16 × 16 means of grey, less their mean and divided by their length, so that
the product of two is their correlation. As by perceptual hashes of block means (Yang, Gu and Niu
2006), which count signs instead; with as many images as are compared here, the means themselves fit
in memory and tell copies from images of the same scene.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.images.settings import ImageSettings

REDUCED = ImageSettings(size=(16, 16), fit="stretch", channels="grey")
MIN_CORRELATION = 0.995  # photographs compressed anew: 0.999; others of one hand and sign: 0.98
_MIN_DEVIATION = 2.0  # of 255, of the means; below it, an image is as good as blank
_BLOCK = 1024  # rows whose correlations are in memory at a time


@dataclass(frozen=True)
class Pair:
    """Two images that look alike, by their indices."""

    first: int
    second: int  # above the first


def find_pairs(
    reduced: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    *,
    min_correlation: float = MIN_CORRELATION,
) -> list[Pair]:
    """Return each image that looks like another one, with the one that it looks most like.

    `reduced` is uint8 [images, 1, 16, 16], as `decode` returns them. With `groups` [images], pairs
    are of different groups. Images that are as good as blank are in no pair.
    """
    means = reduced.reshape(len(reduced), -1).astype(np.float32)
    means -= means.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(means**2, axis=1, keepdims=True))
    means /= np.sqrt(means.shape[1]) * np.where(deviation < _MIN_DEVIATION, np.inf, deviation)
    numbers: dict[Hashable, int] = {}
    group = np.array(
        [numbers.setdefault(name, len(numbers)) for name in groups or range(len(means))]
    )
    found = set()
    for start in range(0, len(means), _BLOCK):
        alike = means[start : start + _BLOCK] @ means.T
        alike[group[start : start + _BLOCK, np.newaxis] == group] = 0
        for row in np.flatnonzero(alike.max(axis=1) >= min_correlation):
            one, other = start + int(row), int(alike[row].argmax())
            found.add(Pair(min(one, other), max(one, other)))
    return sorted(found, key=lambda pair: (pair.first, pair.second))
