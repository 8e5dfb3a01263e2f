"""Filters and what excites them, where both are planted."""

from typing import Any

import numpy as np
import pytest

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.filters import Filters, find_filters
from dlcli.explaining.unavailable import Unavailable
from tests.explaining.made import Layers, dense, make_model

CROSS = [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
NOTHING = [[0.0] * 3] * 3
END = [{"type": "flatten"}, {"type": "dense"}]


def looked_at(model: ExplainedModel) -> Filters:
    found = find_filters(model)
    assert isinstance(found, Filters)
    return found


def with_a_cross(layers: Layers, **data: Any) -> tuple[ExplainedModel, int]:
    """Return a network on faint images, one of them with a bright cross, and that one's line.

    Its middle is the pixel in row 4 and column 2.
    """
    images = np.random.default_rng(1).uniform(0, 0.5, (60, 8, 8)).round(3)
    images[41, 3:6, 1:4] = 5 * np.array(CROSS) + 0.1
    columns = {f"p{index}": images.reshape(60, -1)[:, index].tolist() for index in range(64)}
    part = ["test" if index % 2 else "train" for index in range(60)]
    y = [float(index % 5) for index in range(60)]
    table = {**columns, "part": part, "y": y}
    options = {"shape": [1, 8, 8], "scale": "none", "split": {"column": "part"}, **data}
    return make_model(table, "y", layers, **options), 41 + 2


def convolution(**more: Any) -> dict[str, Any]:
    weight = [[CROSS], [NOTHING]]
    initial = {"weight": weight, "bias": [0.0, 0.0]}
    return {"type": "conv2d", "out_channels": 2, "kernel_size": 3, "initial": initial, **more}


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ({}, (3, 1, 3, 3)),
        ({"padding": "same"}, (3, 1, 3, 3)),
        ({"padding": [0, 1], "stride": [3, 2]}, (3, 1, 3, 3)),
    ],
)
def test_the_planted_image_excites_its_filter_most_and_its_place_is_known(
    options: dict[str, Any], box: tuple[int, int, int, int]
) -> None:
    model, line = with_a_cross([convolution(activation="relu", **options), *END])
    found = looked_at(model)
    cross, nothing = found.strongest
    assert cross.positions[0] == f"line {line}"
    assert cross.boxes[0] == box
    assert cross.activations[0] == pytest.approx(25.5)
    assert cross.images[0, 0, 3:6, 1:4] == pytest.approx(5 * np.array(CROSS) + 0.1)
    assert list(cross.activations) == sorted(cross.activations, reverse=True)
    assert len(nothing.images) == 0
    assert found.weights[:, 0] == pytest.approx(np.array([CROSS, NOTHING]))


def test_images_are_in_the_datas_units_and_activations_after_the_norm() -> None:
    relu = {"type": "activation", "activation": "relu"}
    layers = [convolution(padding="same"), {"type": "batch_norm"}, relu, *END]
    model, line = with_a_cross(layers, scale="minmax")
    found = looked_at(model)
    assert (found.layer, found.activation) == ("2_activation", "relu")
    assert found.strongest[0].positions[0] == f"line {line}"
    assert found.strongest[0].images[0].max() == pytest.approx(5.1)


def test_a_dense_layer_on_images_has_filters_too() -> None:
    weight = np.zeros((2, 8, 8))
    weight[1, 3:6, 1:4] = CROSS
    hidden = dense(weight.reshape(2, 64).tolist(), [0.0, 0.0], activation="relu")
    model, line = with_a_cross([{"type": "flatten"}, hidden, {"type": "dense"}])
    found = looked_at(model)
    assert found.are_units
    assert found.weights[1, 0] == pytest.approx(weight[1])
    assert found.strongest[1].positions[0] == f"line {line}"
    assert found.strongest[1].boxes[0] == (0, 0, 8, 8)


def test_many_filters_are_cut_off_and_counted() -> None:
    layers: Layers = [{"type": "conv2d", "out_channels": 40, "kernel_size": 3}, *END]
    found = looked_at(with_a_cross(layers)[0])
    assert (len(found.weights), found.num_filters, len(found.strongest)) == (32, 40, 8)


def test_filters_over_signals_are_lines_without_images() -> None:
    signals = np.random.default_rng(2).normal(size=(30, 24))
    columns = {f"s{index}": signals[:, index].tolist() for index in range(24)}
    layers: Layers = [{"type": "conv1d", "out_channels": 3, "kernel_size": 5}, *END]
    found = looked_at(
        make_model({**columns, "y": signals[:, 0].tolist()}, "y", layers, shape=[2, 12])
    )
    assert (found.are_units, found.weights.shape) == (False, (3, 2, 5))
    assert found.strongest == ()


def test_numbers_that_are_no_image_have_none_nor_has_what_lies_behind_a_pool() -> None:
    table = {"a": [1.0, 2.0, 4.0], "b": [2.0, 1.0, 1.5], "y": [1.0, 3.0, 2.0]}
    assert isinstance(
        find_filters(make_model(table, "y", [{"type": "dense"}], split={})), Unavailable
    )
    layers = [{"type": "max_pool2d", "kernel_size": 2}, convolution(), *END]
    assert isinstance(find_filters(with_a_cross(layers)[0]), Unavailable)
