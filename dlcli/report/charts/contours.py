"""Lines along which numbers on a grid have one value."""

from collections.abc import Iterator

import numpy as np


def contour(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the lines on which `values` [y, x] are `level`, NaN between two lines.

    Marching squares, linear between the points of the grid; in a saddle, the mean of the corners
    says which of them are connected (Lorensen and Cline 1987, Marching cubes).
    """
    places = _crossings(x, y, values, level)
    found = [places[chain] for chain in _chains(_steps(values, level))]
    gap = np.full((1, 2), np.nan)
    pieces = [piece for line in found for piece in (line, gap)]
    both = np.concatenate(pieces) if pieces else np.empty((0, 2))
    return both[:, 0], both[:, 1]


def _crossings(x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Return where the level is on each edge of the grid, [edges, 2]: along x first, then along y.

    Of an edge that the level doesn't cross, it is some place.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (level - values[:, :-1]) / (values[:, 1:] - values[:, :-1])
        up = (level - values[:-1]) / (values[1:] - values[:-1])
    first = np.stack([x[:-1] + along * np.diff(x), np.broadcast_to(y[:, None], along.shape)], -1)
    second = np.stack([np.broadcast_to(x, up.shape), y[:-1, None] + up * np.diff(y)[:, None]], -1)
    return np.concatenate([first.reshape(-1, 2), second.reshape(-1, 2)])


def _steps(values: np.ndarray, level: float) -> Iterator[tuple[int, int]]:
    """Yield pairs of edges that are connected within a cell."""
    above = values > level
    num_rows, num_columns = values.shape
    num_along = num_rows * (num_columns - 1)
    corners = np.stack([above[:-1, :-1], above[:-1, 1:], above[1:, 1:], above[1:, :-1]])
    for row, column in np.argwhere(corners.any(axis=0) & ~corners.all(axis=0)).tolist():
        bottom = row * (num_columns - 1) + column
        left = num_along + row * num_columns + column
        edges = (bottom, left + 1, bottom + num_columns - 1, left)  # bottom, right, top, left
        inside = corners[:, row, column].tolist()
        crossed = [edges[side] for side in range(4) if inside[side] != inside[side - 3]]
        if len(crossed) == 2:
            yield crossed[0], crossed[1]
        elif (values[row : row + 2, column : column + 2].mean() > level) == inside[0]:
            yield from ((edges[0], edges[1]), (edges[2], edges[3]))
        else:
            yield from ((edges[0], edges[3]), (edges[1], edges[2]))


def _chains(steps: Iterator[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the edges of each line in their order; of a closed one, the first is also the last."""
    near: dict[int, list[int]] = {}
    for first, second in steps:
        near.setdefault(first, []).append(second)
        near.setdefault(second, []).append(first)
    ends = [edge for edge, others in near.items() if len(others) == 1]
    for start in [*ends, *near]:
        chain = [start]
        while near[chain[-1]]:
            following = near[chain[-1]].pop()
            near[following].remove(chain[-1])
            chain.append(following)
        if len(chain) > 1:
            yield chain
