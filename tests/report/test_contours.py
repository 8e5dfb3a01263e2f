"""Contour lines against curves whose equations are known."""

import numpy as np

from dlcli.report.charts.contours import contour


def lines(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return the lines between gaps, each [points, 2]."""
    points = np.column_stack([x, y])
    pieces = np.split(points, np.flatnonzero(np.isnan(x)))
    return [piece for part in pieces if len(piece := part[~np.isnan(part[:, 0])])]


def test_a_circle_is_one_closed_line_and_a_line_that_leaves_has_two_ends() -> None:
    x, y = np.linspace(-2, 2, 81), np.linspace(-3, 3, 101)
    (circle,) = lines(*contour(x, y, np.hypot(x, y[:, None]), 1.5))
    assert (circle[0] == circle[-1]).all()
    np.testing.assert_allclose(np.hypot(*circle.T), 1.5, atol=2e-3)
    assert np.linalg.norm(np.diff(circle, axis=0), axis=1).max() < 0.08
    (straight,) = lines(*contour(x, y, x + 2 * y[:, None], 0.5))
    np.testing.assert_allclose(straight @ [1, 2], 0.5, atol=1e-9)
    assert sorted(straight[[0, -1], 0].tolist()) == [-2.0, 2.0]


def test_the_lines_of_a_saddle_stay_apart_and_without_the_level_there_are_none() -> None:
    corners = np.array([0.0, 1.0])
    saddle = np.array([[1.0, 0.0], [0.0, 1.0]])
    for level, side in ((0.4, 1.0), (0.6, -1.0)):
        found = lines(*contour(corners, corners, saddle, level))
        assert len(found) == 2
        for line in found:  # below the mean, the corners that are 0 are cut off, else the others
            across = side * (line[1] - line[0])
            assert across[0] * across[1] * side > 0
    x, _ = contour(corners, corners, saddle, 2.0)
    assert not len(x)
