"""What hidden units respond to, in networks whose units are given."""

from typing import Any

import numpy as np
import pytest
import torch

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.reasons.activations import hidden_layers
from dlcli.explaining.reasons.explanation import explain
from dlcli.explaining.reasons.units import HiddenUnits, UnitMaps, map_units, measure_units
from dlcli.explaining.unavailable import Unavailable
from tests.explaining.made import Layers, dense, make_model

RAW: dict[str, Any] = {"scale": "none", "target_scale": "none"}


def measured(model: ExplainedModel) -> HiddenUnits:
    found = measure_units(model)
    assert isinstance(found, HiddenUnits)
    return found


def two_numbers(layers: Layers, **data: Any) -> ExplainedModel:
    random = np.random.default_rng(1)
    a, b = random.normal(3, 1, 200), random.normal(size=200)
    columns = {"a": a.tolist(), "b": b.tolist(), "y": (a - b).tolist()}
    return make_model(columns, "y", layers, **RAW, **data)


def test_units_come_by_what_they_move_and_a_bias_moves_nothing() -> None:
    # a, b, and one that is 100 whatever comes in
    hidden = dense([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]], [0.0, 0.0, 100.0])
    found = measured(two_numbers([hidden, dense([[0.5, -4.0, 9.0]], [0.0])]))
    assert [unit.number for unit in found.units] == [1, 0, 2]
    assert (found.num_units, found.num_constant) == (3, 1)
    a, b = found.sample.rows.encoded.inputs["numbers"].numpy().T
    influences = [4 * np.abs(b - b.mean()).mean(), 0.5 * np.abs(a - a.mean()).mean(), 0]
    assert [unit.influence for unit in found.units] == pytest.approx(influences, rel=1e-5)
    first, second, still = found.units
    assert dict(first.features) == {"b": pytest.approx(-1)}
    assert (first.favours, second.favours) == ("lower", "higher")
    assert dict(second.features) == {"a": pytest.approx(1)}
    assert still.features == ()


def test_influence_is_in_the_targets_units() -> None:
    random = np.random.default_rng(2)
    columns = {"a": random.normal(size=99).tolist(), "y": random.normal(9, 1000, 99).tolist()}
    model = make_model(columns, "y", [dense([[1.0]], [0.0]), dense([[1.0]], [0.0])])
    features = model.parts["test"].encoded.inputs["numbers"].numpy()
    away = np.abs(features - features.mean()).mean()
    target = model.target
    assert measured(model).units[0].influence == pytest.approx(away * target.unit, rel=1e-4)


def test_units_speak_for_classes_and_go_with_categories_and_gaps() -> None:
    random = np.random.default_rng(3)
    city = random.choice(["rome", "oslo"], 200).tolist()
    gaps = [None if index % 4 == 0 else 1.5 + index % 3 for index in range(200)]
    kind = random.choice(["u", "v", "w"], 200).tolist()
    columns = {"city": city, "gaps": gaps, "kind": kind}
    # oslo, rome, gaps, whether that is missing
    hidden = dense([[0.0, 9.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.0]], [0.0, 0.0], activation="relu")
    last = dense([[0.0, 1.0], [0.0, -1.0], [5.0, 0.0]], [0.0, 0.0, 0.0])
    found = measured(make_model(columns, "kind", [hidden, last]))
    rome, missing = found.units
    assert (rome.number, rome.favours) == (0, "w")
    assert dict(rome.features)["city = rome"] == pytest.approx(1)
    assert dict(rome.features)["city = oslo"] == pytest.approx(-1)
    assert (missing.number, missing.favours) == (1, "u")
    assert missing.features[0][0] == "gaps is missing"
    assert (found.layer, found.activation) == ("0_dense_relu", "relu")


def test_what_all_outputs_share_is_no_influence_where_a_softmax_compares_them() -> None:
    random = np.random.default_rng(4)
    columns = {
        "a": random.normal(size=60).tolist(),
        "y": random.choice(["u", "v", "w"], 60).tolist(),
    }
    hidden = dense([[1.0], [1.0]], [0.0, 0.0])
    last = dense([[50.0, 1.0], [50.0, 0.0], [50.0, 0.0]], [0.0, 0.0, 0.0])
    found = measured(make_model(columns, "y", [hidden, last]))
    assert [unit.number for unit in found.units] == [1, 0]
    assert found.units[1].influence == pytest.approx(0, abs=1e-5)


def test_activations_are_those_after_norms_and_the_non_linearity() -> None:
    relu = {"type": "activation", "activation": "relu"}
    inner = [{"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 5}]
    layers: Layers = [
        {"type": "dense", "units": 5}, {"type": "batch_norm"}, {"type": "dropout"}, relu,
        {"type": "residual", "layers": inner},
        {"type": "dense", "units": 3},
        {"type": "dense"},
    ]  # fmt: skip
    places = hidden_layers(two_numbers(layers).plan)
    assert [(place.module, place.activation) for place in places] == [
        ("3_activation", "relu"),
        ("4_residual.layers.0_dense_tanh", "tanh"),
        ("4_residual.layers.1_dense", None),
        ("5_dense", None),
    ]


def test_maps_show_each_unit_all_over_the_plane() -> None:
    hidden = dense([[1.0, 0.0], [2.0, -3.0]], [-3.0, 1.0], activation="relu")
    found = map_units(two_numbers([hidden, dense([[1.0, 2.0]], [0.0])]))
    assert isinstance(found, UnitMaps)
    assert found.numbers == (1, 0)
    x, y = np.meshgrid(found.plane.x, found.plane.y)
    assert found.maps[0] == pytest.approx(np.maximum(2 * x - 3 * y + 1, 0), abs=1e-4)
    assert found.maps[1] == pytest.approx(np.maximum(x - 3, 0), abs=1e-4)


def test_without_hidden_units_there_is_a_reason() -> None:
    model = two_numbers([{"type": "dense"}])
    assert isinstance(measure_units(model), Unavailable)
    assert isinstance(map_units(model), Unavailable)


def test_the_network_is_as_before_and_no_hook_stays() -> None:
    layers: Layers = [{"type": "dense", "units": 6, "activation": "gelu"}, {"type": "dropout"}]
    model = two_numbers([*layers, {"type": "dense"}])
    rows = model.parts["test"].encoded
    before = model.predict(rows.inputs)
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    threads = torch.get_num_threads()
    explain(model)
    assert all(not module._forward_hooks for module in model.network.modules())
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert (model.predict(rows.inputs) == before).all()
    assert all((weights[name] == own).all() for name, own in model.network.state_dict().items())
    assert torch.get_num_threads() == threads
