"""The part on the landscape says what its pictures show, and why one is not there."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from dlcli.explaining.surface.landscape import LossGrid
from dlcli.explaining.surface.path import PathPlane, Trajectory
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.landscape.captions import describe_landscape, describe_path
from dlcli.report.landscape.scale import band_colors, band_pixels, choose_levels, loss_text
from dlcli.report.landscape.section import (
    landscape_picture,
    landscape_section,
    path_picture,
    paths_picture,
)
from dlcli.report.picture import Picture
from tests.report.test_page import HOSTILE


def made_grid(lowest: tuple[float, float] = (0.0, 0.0), size: int = 41) -> LossGrid:
    """Return a bowl: 0.01 at its lowest point, and a hundred times as much at a distance of 1."""
    axis = np.linspace(-1.0, 1.0, size)
    x, y = np.meshgrid(axis, axis)
    return LossGrid(
        x=axis,
        y=axis,
        losses=0.01 * 100.0 ** np.hypot(x - lowest[0], y - lowest[1]),
        center_loss=0.01 * 100.0 ** float(np.hypot(*lowest)),
        num_rows=600,
        num_known_rows=600,
        num_parameters=337,
        keeps_statistics=False,
    )


def made_track(turn: float = 0.0, num_points: int = 30) -> Trajectory:
    t = np.linspace(1.0, 0.0, num_points)
    points = np.stack([-0.9 * t * np.cos(turn * t), 0.8 * t * (1 - t) + t * np.sin(turn * t)], 1)
    losses = 0.1 + t
    return Trajectory(tuple(range(0, 3 * num_points, 3)), points, losses, losses - 0.05)


def made_path(*names: str) -> PathPlane:
    tracks = {name: made_track(index / len(names)) for index, name in enumerate(names)}
    return PathPlane(made_grid(), (0.875, 0.0625), tracks, names[0], {})


def words_of(picture: Picture) -> list[str]:
    root = ElementTree.fromstring(picture.svg)
    return [
        "".join(element.itertext()).strip()
        for element in root.iter()
        if element.tag.endswith("}text")
    ]


def numbers_of_epochs(picture: Picture) -> list[int]:
    """Return the labels between the colour bar's and the legend's words: whole numbers."""
    return [int(word) for word in words_of(picture) if word.isdigit() and int(word) > 2]


def test_both_are_shown_and_explained() -> None:
    part = landscape_section(made_grid(), made_path("training"))
    assert [picture.name for picture in part.pictures] == ["landscape", "landscape-path"]
    explained = " ".join(part.paragraphs)
    assert "2 of 337 dimensions" in explained
    assert "Antognini" in explained
    assert "sampled from" not in explained
    assert "running statistics" not in explained


def test_what_is_not_there_is_a_sentence() -> None:
    part = landscape_section(Unavailable("it rains"), Unavailable("there is 1"))
    assert part.pictures == ()
    assert part.paragraphs == (
        "The loss around the trained network is not shown: it rains.",
        "The path of training is not shown: there is 1.",
    )
    part = landscape_section(Unavailable("it rains"), made_path("training"))
    assert [picture.name for picture in part.pictures] == ["landscape-path"]
    assert "2 of 337 dimensions" in part.paragraphs[0]


def test_drawn_rows_and_kept_statistics_are_said() -> None:
    plane = replace(made_grid(), num_known_rows=12_345, keeps_statistics=True)
    part = landscape_section(plane, Unavailable(""))
    explained = " ".join(part.paragraphs)
    assert "41 × 41 points on 600 training rows, sampled from 12,345" in explained
    assert "the running statistics of the trained network at every point" in explained
    assert "over 600 training rows (sampled from 12,345) at 41 × 41" in part.pictures[0].text


def test_the_landscapes_words_have_its_numbers() -> None:
    text = describe_landscape(made_grid())
    assert "The loss is 0.01 at the trained network and 0.01 to 6.736 in the plane." in text
    ring = re.search(r"At a distance of 0.5 it is between (\S+) and (\S+)\. ", text)
    assert ring is not None
    low, high = map(float, ring.groups())
    assert 0.08 < low <= 0.1 <= high < 0.12
    assert "No grid point is lower than the trained network by more than 1.0 %." in text
    assert "finite" not in text
    assert "share one colour" not in text


def test_a_lower_point_is_marked_and_said() -> None:
    picture = landscape_picture(made_grid((0.25, -0.5)))
    assert "The lowest grid point, 0.01, is at (0.25, -0.5) (cross)." in picture.text
    assert "lowest grid point" in words_of(picture)
    hardly = replace(made_grid(), center_loss=0.01005)
    assert "No grid point is lower" in describe_landscape(hardly)
    assert "lowest grid point" not in words_of(landscape_picture(hardly))


def test_losses_that_are_not_finite_or_endlessly_high_are_said() -> None:
    plane = made_grid()
    plane.losses[:3, :3] = np.nan
    plane.losses[-1, -1] = 1e30
    plane.losses[20, 20] = 1e-9
    text = landscape_picture(plane).text
    assert "9 of 1,681 points have no finite loss and are left blank." in text
    assert f"Losses above {loss_text(choose_levels(plane.losses)[-1])} share one colour." in text
    assert choose_levels(plane.losses)[-1] < 1e4
    assert f"Losses below {loss_text(choose_levels(plane.losses)[0])} share one colour." in text


def test_a_flat_plane_is_drawn_and_said() -> None:
    for loss in (0.0, 2.5):
        plane = replace(made_grid(), losses=np.full((41, 41), loss), center_loss=loss)
        assert "less than 0.1 % in the plane" in describe_landscape(plane)
        levels = choose_levels(plane.losses)
        assert levels[0] < loss < levels[-1]


@pytest.mark.parametrize("low", [1e-12, 0.02, 3.0, 123_456.0])
@pytest.mark.parametrize("ratio", [1.05, 5.0, 1e3, 1e12])
def test_levels_hold_the_losses_and_lie_closer_at_the_lowest(low: float, ratio: float) -> None:
    x, y = np.meshgrid(*2 * [np.linspace(-1.0, 1.0, 41)])
    losses = low * (1 + (ratio - 1) * (x**2 + y**2))
    levels = choose_levels(losses)
    assert 10 <= len(levels) <= 15
    assert levels[0] <= np.quantile(losses, 0.02)
    assert levels[0] <= low or ratio > 100
    assert levels[-1] >= losses.max()
    steps = np.diff(levels)
    assert steps[0] < steps[-1]
    bands = np.searchsorted(levels, losses)
    assert set(bands.ravel()) >= set(range(1, len(levels)))  # no colour is for nothing


def test_a_band_is_a_color_from_the_lowest_up_and_what_is_not_finite_is_blank() -> None:
    losses = np.tile(np.linspace(1.0, 4.0, 21), (21, 1))
    losses[0, -1] = np.nan  # at the bottom, on the right
    levels = np.array([1.0, 2.0, 3.0, 4.0])
    pixels = band_pixels(losses, levels)
    colors = band_colors(levels, losses)
    assert [sum(color) for color in colors.tolist()] == sorted(sum(c) for c in colors.tolist())
    assert np.array_equal(pixels[0, [3, pixels.shape[1] // 2, -4], :3], colors)  # the top row
    assert (pixels[-1, -1, 3], pixels[-1, 0, 3]) == (0, 255)
    shown = pixels[0, :, :3].astype(int).sum(axis=1)
    assert len(set(shown.tolist())) == 5  # three bands, and two darker lines between them
    pale = band_colors(levels, losses, is_pale=True)
    assert (pale >= colors).all()


def test_a_path_has_ends_that_are_told_from_its_background() -> None:
    picture = path_picture(made_path("training"))
    ends = re.findall(r'<path class="fill (black|white)"', picture.svg)
    assert ends == 4 * ["black", "white"]  # the square and the star, in the legend and the plane
    with_cross = landscape_picture(made_grid((0.25, -0.5))).svg
    assert with_cross.count('<path class="line black" stroke-width="5"') == 2
    assert with_cross.count('<path class="line white" stroke-width="2"') == 2


def test_numbers_are_loss_text() -> None:
    assert [loss_text(loss) for loss in (0.0, 0.012345, 2.5, 1234.5, 2_938_000.0, 1e-7, 3e12)] == [
        "0", "0.01235", "2.5", "1,234", "2,938,000", "1e-7", "3e12",
    ]  # fmt: skip


def test_some_epochs_of_a_path_have_their_number() -> None:
    picture = path_picture(made_path("training"))
    words = words_of(picture)
    assert "start: epoch 0" in words
    assert "trained network: epoch 87" in words
    numbers = numbers_of_epochs(picture)
    assert 2 <= len(numbers) <= 8
    assert all(number in made_track().epochs for number in numbers)
    assert numbers == sorted(numbers)


def test_the_paths_words_have_its_numbers() -> None:
    text = describe_path(made_path("training"))
    assert (
        "from epoch 0 (square) to the trained network, epoch 87 (star), from 30 snapshots" in text
    )
    assert "with 87.5 % and 6.2 % of the squared distance" in text
    assert "at the start the loss is 1.1, while the plane shows 1.05" in text


def test_several_paths_have_their_own_lines_and_losses() -> None:
    names = ["sgd", "adam", "rmsprop"]
    found = replace(made_path(*names), left_out={"wild": "it diverged"})
    picture = paths_picture(found)
    words = words_of(picture)
    assert all(f"{name}: 0.1" in words for name in names)
    assert "sgd 0.1 and 0.05; adam 0.1 and 0.05; rmsprop 0.1 and 0.05" in picture.text
    assert "the lowest end, that of sgd, with a loss of 0.01" in picture.text
    assert "wild is left out: it diverged." in picture.text


def test_of_very_many_paths_some_are_drawn() -> None:
    picture = paths_picture(made_path(*(f"made {index}" for index in range(20))))
    drawn = [word for word in words_of(picture) if word.startswith("made")]
    assert len(drawn) == 12
    assert "8 more paths are not drawn." in picture.text


def test_hostile_names_are_text_and_short() -> None:
    long = "x" * 500
    found = made_path(HOSTILE, long)
    words = words_of(paths_picture(found))
    named = [word for word in words if word.endswith(": 0.1")]
    assert named[0].startswith("<script>alert(1)</script>"[:20])
    assert max(map(len, words)) < 60


def test_pictures_are_small_and_the_same_twice() -> None:
    path = made_path(*"abcdefghijkl")
    picture = paths_picture(path)
    assert len(picture.svg) < 200_000
    assert paths_picture(path).svg == picture.svg
