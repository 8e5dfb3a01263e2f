"""Several inputs: what each branch is given, how they are joined, what is said of their layers."""

from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dlcli.columns.base import Series, Tokens
from dlcli.columns.image import Pixels
from dlcli.config.sections.model import ModelConfig
from dlcli.data.signature import Signature
from dlcli.layers.base import ShapeError
from dlcli.layers.joining.joins import join_of
from dlcli.network.builder import build_network
from dlcli.network.layout import draw_branches
from dlcli.network.plan import Plan, plan_model
from dlcli.training.divergence import layer_of
from tests.layers.samples import CROSS_ENTROPY, DENSE, JOINS, plan_inputs
from tests.losses.examples import loss_of

EACH_JOIN = pytest.mark.parametrize("combine", JOINS)


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **more}


def planned(inputs: dict[str, list[dict[str, Any]]], **model: Any) -> Plan:
    """Plan inputs of four columns: a, of one number, b, of two, c and d."""
    named = {name: {"layers": layers} for name, layers in inputs.items()}
    config = ModelConfig.model_validate({"inputs": named, "layers": [DENSE], **model})
    signature = Signature(5, (), None, 2, (1, 2, 1, 1), (), ("a", "b", "c", "d"))
    return plan_model(config, signature, loss_of(CROSS_ENTROPY))


def rows(number: int = 3) -> dict[str, Tensor]:
    return {"numbers": torch.randn(number, 5, generator=torch.Generator().manual_seed(1))}


def test_each_input_is_given_its_columns_and_the_table_all_others() -> None:
    network = build_network(planned({"c": [], "table": [], "a": []}), seed=0)
    given, numbers = network.get_submodule("columns")(rows()), rows()["numbers"]
    assert [part.tolist() for part in given] == [
        numbers[:, [3]].tolist(),
        numbers[:, [1, 2, 4]].tolist(),
        numbers[:, [0]].tolist(),
    ]
    joined = network.get_submodule("inputs")(given)
    assert joined.equal(numbers[:, [3, 1, 2, 4, 0]]), "inputs without layers pass it on"


def test_embedded_columns_are_looked_up_in_the_input_that_has_them() -> None:
    network = build_network(plan_inputs("concat"), seed=0)
    columns = network.get_submodule("columns")
    codes = torch.tensor([[4, 3]], dtype=torch.int32)
    numbers = torch.arange(5.0)[None]
    city, table, b = columns({"numbers": numbers, "codes": codes})
    assert city.equal(columns.get_parameter("tables.0.weight")[[4]])
    shop = columns.get_parameter("tables.1.weight")[[3]]
    assert table.equal(torch.cat([numbers[:, [0, 3, 4]], shop], dim=1))
    assert b.equal(numbers[:, [1, 2]])


def test_sums_and_weighted_means_are_those_of_their_formulas() -> None:
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(2))  # inputs, rows, features
    shapes = {"a": (4,), "b": (4,), "c": (4,)}
    total = join_of("sum")
    assert torch.allclose(total.build(total.plan_inputs(shapes))([*x]), x.sum(0))
    attention = join_of("attention")
    module = attention.build(attention.plan_inputs(shapes))
    w, b, u = (tensor.detach() for tensor in module.parameters())
    scores = torch.tanh(x @ w.T + b) @ u[0]
    weights = scores.exp() / scores.exp().sum(0)
    assert torch.allclose(module([*x]), (weights[:, :, None] * x).sum(0))


@EACH_JOIN
def test_parameters_operations_and_names_are_those_of_the_modules(combine: str) -> None:
    plan = plan_inputs(combine)
    network = build_network(plan, seed=0)
    assert sum(p.numel() for p in network.parameters()) == plan.num_parameters == plan.num_trained
    shapes = {
        f"{name}.{key}": axes.shape
        for name, layer in plan.modules()
        for key, axes in layer.config.tensors(layer).items()
    }
    state = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: state[name] for name in state if not name.startswith("columns.")} == shapes
    given = {
        "numbers": torch.ones(10, 5),
        "codes": torch.ones(10, 2, dtype=torch.int32),
    }
    with FlopCounterMode(display=False) as counter:
        assert network(given).shape == (10, 2)
    assert counter.get_total_flops() == 20 * plan.multiply_adds
    paths = [layer_of(name) for name in shapes]
    assert "model.inputs.b.c.layers[1].layers[0]" in paths
    assert "model.inputs.table.layers[0]" in paths
    assert ("model.combine" in paths) == (combine == "attention")
    assert paths[-1] == "model.layers[1]"


@EACH_JOIN
def test_gradients_agree_with_finite_differences(combine: str) -> None:
    network = build_network(plan_inputs(combine), seed=1).double().eval()
    parameters = dict(network.named_parameters())
    codes = torch.tensor([[1, 2], [5, 3]], dtype=torch.int32)

    def output(numbers: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(parameters, values, strict=True))
        inputs = {"numbers": numbers, "codes": codes}
        result: Tensor = torch.func.functional_call(network, given, (inputs,))
        return result

    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = [value.detach().requires_grad_() for value in parameters.values()]
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *values), fast_mode=True)


CONVOLUTION = {"type": "conv1d", "out_channels": 1, "kernel_size": 1}

REFUSED: list[tuple[dict[str, list[dict[str, Any]]], dict[str, Any], str, tuple[Any, ...]]] = [
    (
        {"a": [dense(3)], "table": [{"type": "reshape", "shape": [2, 2]}]},
        {},
        "gives [2, 2], and only [features] can be joined with other inputs: end its layers with "
        "{type: global_avg_pool} or {type: flatten}",
        ("inputs", "table", "layers"),
    ),
    (
        {"a": [dense(3)], "table": [dense(4)]},
        {"combine": "sum"},
        "combine: sum needs inputs of equal size, but the features are: a 3, table 4; end the "
        "layers of each with the same number of units, as in {type: dense, units: 4}",
        ("inputs", "a", "layers"),
    ),
    (
        {"a": [], "table": [dense(4), {"type": "residual", "layers": [dense(4), CONVOLUTION]}]},
        {},
        "expects [channels, length], got [4]",
        ("inputs", "table", "layers", 1, "layers", 1),
    ),
    (
        {"a": [DENSE], "table": []},
        {},
        "units",
        ("inputs", "a", "layers", 0),
    ),
    (
        {"a": [{"type": "numeric_embedding", "kind": "plr"}], "table": []},
        {},
        "no column is numeric",
        ("inputs", "a", "layers", 0),
    ),
    (
        {"a": [], "table": []},
        {"layers": [{"type": "numeric_embedding", "kind": "plr"}, DENSE]},
        "must be the first layer of a network, or of one of its inputs (model.inputs)",
        ("layers", 0),
    ),
    (
        {"a": [], "table": []},
        {"layers": [dense(3), {"type": "batch_norm"}, DENSE], "ensemble": {"members": 2}},
        "the members of an ensemble would influence each other",
        ("layers", 1),
    ),
]


@pytest.mark.parametrize(("inputs", "model", "said", "path"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(
    inputs: dict[str, list[dict[str, Any]]],
    model: dict[str, Any],
    said: str,
    path: tuple[Any, ...],
) -> None:
    with pytest.raises(ShapeError) as caught:
        planned(inputs, **model)
    assert said in str(caught.value)
    assert caught.value.path == path


def test_the_members_of_an_ensemble_have_one_factor_for_each_column_that_passes_the_join() -> None:
    plan = planned(
        {"b": [{"type": "dropout", "rate": 0.5}], "a": [dense(2)], "table": []},
        layers=[dense(3), DENSE],
        ensemble={"members": 2},
    )
    assert plan.ensemble is not None
    assert plan.ensemble.columns == (0, 0, 1, 2, 3, 4), "b, two units, c and d"
    outputs = build_network(plan, seed=0).train()(rows())
    assert outputs.shape == (3, 2, 2)
    model = {"layers": [dense(3), DENSE], "ensemble": {"members": 2}}
    summed = planned({"b": [], "a": [dense(2)], "table": [dense(2)]}, combine="sum", **model)
    assert summed.ensemble is not None
    assert summed.ensemble.columns == (0, 1)


def test_the_drawing_shows_branches_and_where_they_join() -> None:
    plan = planned({"a": [], "table": [dense(7), dense(5, activation="relu")]}, layers=[DENSE])
    assert "\n".join(draw_branches(plan)) == (
        "a (1) ──────────────────────────────────────┐\n"
        "table (4) → 0 dense (7) → 1 dense relu (5) ─┤\n"
        "┌───────────────────────────────────────────┘\n"
        "└─ concat (6) → 0 dense (2)"
    )
    deep = draw_branches(planned({"a": [dense(9)] * 20, "table": []}))
    assert "0 dense (9)" in deep[0]
    assert "more … → 19 dense (9)" in deep[0]
    assert max(map(len, deep)) <= 100


def test_inputs_that_are_shown_where_one_is_not_enough_can_be_planned() -> None:
    signature = Signature(
        *(1, (), None, 2, (1,), (), ("a",)),
        pixels=(Pixels("front, back", "pixels 0", (3, 1, 1)),),
        sequences=(Tokens("note: long", "tokens 0", 1, 30), Series("no", "series 0", 1, 2)),
    )
    alone = ModelConfig.model_validate({"layers": [DENSE]})
    with pytest.raises(ShapeError) as refused:
        plan_model(alone, signature, loss_of(CROSS_ENTROPY))
    shown = str(refused.value).partition("model.inputs: ")[2].partition("; or ")[0]
    model = ModelConfig.model_validate({"inputs": yaml.safe_load(shown), "layers": [DENSE]})
    plan = plan_model(model, signature, loss_of(CROSS_ENTROPY))
    assert plan.inputs is not None
    names = [branch.name for branch in plan.inputs.branches]
    assert names == ["front, back", "note: long", "no", "table"]
