"""What a network predictions all over a plane, and a neuron's line, against algebra."""

from typing import Any

import numpy as np
import pytest

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.boundary import Boundary, compute_boundary
from dlcli.explaining.unavailable import Unavailable
from tests.conftest import ROOT
from tests.explaining.made import Columns, Layers, dense, make_model


def drawn(model: ExplainedModel) -> Boundary:
    found = compute_boundary(model)
    assert isinstance(found, Boundary)
    return found


def two_columns(target: str, layers: Layers, **data: Any) -> ExplainedModel:
    random = np.random.default_rng(1)
    a, b = random.normal(50, 20, 120), random.uniform(-1, 3, 120)
    targets = {
        "number": (a - 7 * b).tolist(),
        "two": np.where(a > 50, "yes", "no").tolist(),
        "three": np.array(["u", "v", "w"])[np.digitize(b, [0, 2])].tolist(),
    }
    columns = {"a": a.tolist(), "b": b.tolist(), target: targets[target]}
    return make_model(columns, target, layers, **data)


def plane_of(found: Boundary) -> np.ndarray:
    """Return what a neuron's equation gives all over the plane, [y, x]."""
    equation = found.equation
    assert equation is not None
    x, y = np.meshgrid(found.plane.x, found.plane.y)
    return np.asarray(equation.constant + equation.first * x + equation.second * y)


def test_the_lectures_neuron_has_its_own_line() -> None:
    file, weights = ROOT / "data" / "perceptron.csv", dense([[3.0, -2.0]], [1.0])
    found = drawn(make_model(file, "above", [weights], scale="none"))
    assert found.equation is not None
    assert (found.equation.constant, found.equation.first, found.equation.second) == (1, 3, -2)
    assert found.plane.names == ("x1", "x2")


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_a_neurons_line_is_where_the_classes_are_as_likely(scale: str, loss: str) -> None:
    found = drawn(two_columns("two", [{"type": "dense"}], scale=scale, loss=loss))
    probability = 1 / (1 + np.exp(-plane_of(found)))
    assert found.predictions[:, :, 1] == pytest.approx(probability, abs=1e-5)
    assert found.predictions.sum(axis=2) == pytest.approx(1)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_a_neuron_for_a_number_answers_by_its_equation_in_the_targets_units(
    parametrization: str,
) -> None:
    layers: Layers = [{"type": "dense", "parametrization": parametrization}]
    found = drawn(two_columns("number", layers))
    assert found.predictions == pytest.approx(plane_of(found), rel=1e-4, abs=1e-3)


def test_hidden_layers_and_three_classes_have_no_single_line() -> None:
    hidden = {"type": "dense", "units": 3, "activation": "relu"}
    assert drawn(two_columns("two", [hidden, {"type": "dense"}])).equation is None
    found = drawn(two_columns("three", [{"type": "dense"}]))
    assert found.equation is None
    assert found.predictions.shape == (len(found.plane.y), len(found.plane.x), 3)


def test_points_stand_where_the_data_has_them_and_all_lie_inside() -> None:
    model = two_columns("number", [{"type": "dense"}])
    found = drawn(model)
    train, held_out = found.points
    assert (train.part, held_out.part, len(train.x), len(held_out.x)) == ("train", "test", 60, 60)
    frame = model.parts["test"].table.frame
    assert held_out.x == pytest.approx(frame["a"].cast(float).to_numpy())
    assert held_out.truth == pytest.approx(frame["number"].cast(float).to_numpy(), rel=1e-5)
    assert found.plane.x[0] < min(train.x.min(), held_out.x.min())
    assert found.plane.x[-1] > max(train.x.max(), held_out.x.max())


def test_what_is_far_out_or_has_gaps_is_counted_and_not_drawn() -> None:
    random = np.random.default_rng(2)
    a, b = random.normal(size=400), random.normal(size=400)
    a[[3, 77]] = 1e6, -1e7
    gaps = [None if index in (5, 6, 7) else float(value) for index, value in enumerate(b)]
    columns = {"a": a.tolist(), "b": gaps, "y": a.tolist()}
    found = drawn(make_model(columns, "y", [{"type": "dense"}], split={}))
    (train,) = found.points
    assert (train.num_gaps, train.num_outside, len(train.x)) == (3, 2, 395)
    assert np.abs(found.plane.x).max() < 20
    assert found.has_gaps


def test_other_than_two_numbers_have_no_plane() -> None:
    numbers = {"a": [1.0, 2.0, 3.0, 5.0], "y": [1.0, 2.0, 3.0, 7.0]}
    others: list[Columns] = [
        {},
        {"c": ["u", "v", "u", "v"]},
        {"b": [1.0, 5.0, 2.0, 2.5], "d": [4, 1, 2, 6]},
    ]
    for other in others:
        model = make_model({**other, **numbers}, "y", [{"type": "dense"}], split={})
        assert isinstance(compute_boundary(model), Unavailable)
