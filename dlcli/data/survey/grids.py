"""Recognises tables in which each row is an image."""

import math
import re
from collections.abc import Sequence

import numpy as np

_ROW_AND_COLUMN = re.compile(r"(\D*)(\d+)(\D+)(\d+)")  # pixel_3_5, 3x5
_NUMBER = re.compile(r"(\D*)(\d+)")  # pixel29
_MIN_SIDE = 4
_MAX_ROWS = 2_000  # that neighbours are compared on


def find_grid(names: Sequence[str]) -> tuple[int, int] | None:
    """Return [height, width] if the column names count the pixels of an image row by row."""
    return _by_row_and_column(names) or _by_number(names)


def resembles_image(features: np.ndarray, grid: tuple[int, int]) -> bool:
    """Say whether neighbouring pixels are correlated: `features` [rows, height × width].

    The correlation of neighbours, horizontal and vertical, must be at least twice the average over
    all pairs of columns, in evenly spaced rows where there are very many.
    """
    height, width = grid
    features = features[:: -(-len(features) // _MAX_ROWS) or 1]
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlation = scaled.T @ scaled / len(features)
    varies = spread > 0
    index = np.arange(height * width).reshape(grid)
    average = np.abs(correlation[np.ix_(varies, varies)]).mean()
    for first, second in ((index[:-1], index[1:]), (index[:, :-1], index[:, 1:])):
        one, other = first.ravel(), second.ravel()
        both = varies[one] & varies[other]
        if not both.any() or correlation[one, other][both].mean() < 2 * average:
            return False
    return True


def _by_row_and_column(names: Sequence[str]) -> tuple[int, int] | None:
    matches = [_ROW_AND_COLUMN.fullmatch(name) for name in names]
    if not all(matches) or len({(match[1], match[3]) for match in matches if match}) > 1:
        return None
    pairs = [(int(match[2]), int(match[4])) for match in matches if match]
    height, width = (max(numbers) - min(numbers) + 1 for numbers in zip(*pairs, strict=True))
    start = pairs[0]
    counted = [
        (start[0] + row, start[1] + column) for row in range(height) for column in range(width)
    ]
    is_grid = pairs == counted and min(height, width) >= _MIN_SIDE
    return (height, width) if is_grid else None


def _by_number(names: Sequence[str]) -> tuple[int, int] | None:
    matches = [_NUMBER.fullmatch(name) for name in names]
    if not all(matches) or len({match[1] for match in matches if match}) > 1:
        return None
    numbers = [int(match[2]) for match in matches if match]
    side = math.isqrt(len(numbers))
    counted = list(range(numbers[0], numbers[0] + side**2))
    return (side, side) if numbers == counted and side >= _MIN_SIDE else None
