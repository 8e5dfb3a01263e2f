"""Weights that begin with statistics of training rows."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
import torch
from torch import Tensor, nn

from dlcli.network.builder import build_network
from dlcli.network.plan import Plan
from dlcli.network.start_from_rows import num_rows_to_start_from, start_from_rows
from dlcli.training.assembly import initialise_from_rows
from dlcli.trials.running.stacked_network import StackedNetwork
from tests.conftest import Command
from tests.layers.samples import DENSE, plan, plan_members
from tests.losses.examples import PAIR
from tests.training.test_engines import made_rows

REALMLP: dict[str, Any] = {
    "type": "dense",
    "units": 6,
    "parametrization": "ntk",
    "init": "unit_variance",
    "bias_init": "data_hull",
}
ACTIVATION = {"type": "activation", "activation": "tanh"}
ROWS = [
    [-0.12583983, -2.45708060, 0.97494215, 0.13224238],
    [1.84871030, 3.07602739, 0.96839875, -3.23043871],
    [1.32227492, -2.79000425, 1.03499830, 1.61626792],
    [1.11984146, 4.71297359, 1.11167777, 0.50544369],
    [-0.35265374, -4.08779335, 1.05666506, 2.58701658],
    [1.59883952, -3.66528511, 0.96586394, 4.70601225],
    [0.78413677, -1.22764444, 1.05627215, 1.51925480],
    [0.82603902, -1.03623867, 1.09382606, 1.97773957],
    [2.20322371, 1.25360405, 0.87998605, 0.99042851],
    [0.48192519, 0.07988739, 0.84190059, 4.41328669],
]
DRAWN = [
    [-0.48678076, 0.66752428, -1.40170205, -0.89913517],
    [-0.60382158, -0.19741510, -0.76255715, -0.55779344],
    [-0.55809623, 1.94278347, 0.63121343, 0.69071877],
]
SCALED = [
    [-0.30642760, 0.42020532, -0.88236892, -0.56600398],
    [-1.14163458, -0.37324917, -1.44175303, -1.05461001],
    [-0.24791653, 0.86301988, 0.28039652, 0.30682990],
]
BIASES = [0.96013552, 2.44545078, -0.38553265]


def test_weights_and_biases_are_pytabkits() -> None:
    """Held to pytabkit 1.7.0.

    To `WeightFitter(3, weight_param="ntk", weight_init_mode="std")`, which has drawn DRAWN, and
    `BiasFitter(bias_init_mode="he+5")` after `torch.manual_seed(7)`.
    """
    planned = plan((4,), {**REALMLP, "units": 3}, DENSE)
    layer = build_network(planned, seed=0).get_submodule("0_dense")
    with torch.no_grad():
        layer.get_parameter("weight").copy_(torch.tensor(DRAWN))
        generator = torch.Generator().manual_seed(7)
        planned.layers[0].config.start_from_rows(
            planned.layers[0], layer, torch.tensor(ROWS), generator
        )
    assert torch.allclose(layer.get_parameter("weight"), torch.tensor(SCALED), atol=1e-6)
    assert torch.allclose(layer.get_parameter("bias"), torch.tensor(BIASES), atol=1e-6)


def outputs_of(network: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *args, name=name: seen.update({name: args[-1]}))
    with torch.no_grad():
        network(inputs)
    return seen


def begun(planned: Plan, inputs: dict[str, Tensor], seed: int = 0) -> nn.Module:
    network = build_network(planned, seed=seed)
    start_from_rows(network, planned, inputs, seed=seed)
    return network


def test_each_layer_begins_with_what_those_before_it_make_of_the_rows() -> None:
    inputs = {"numbers": torch.randn(200, 12, generator=torch.Generator().manual_seed(0)) * 9 + 4}
    block = {"type": "residual", "layers": [{**REALMLP, "activation": "selu"}]}
    planned = plan((12,), REALMLP, ACTIVATION, block, REALMLP, DENSE)
    network = begun(planned, inputs)
    seen = outputs_of(network.eval(), inputs)
    for name in ("0_dense", "2_residual.layers.0_dense", "3_dense"):
        bias = network.get_parameter(f"{name}.bias")
        without = seen[name] - bias
        assert torch.allclose(without.std(0, correction=0), torch.ones(6), atol=1e-4), name
        assert (-bias > without.min(0).values).all()
        assert (-bias < without.max(0).values).all()
        assert len({*bias.tolist()}) == 6
    assert not torch.allclose(seen["4_dense"].std(0), torch.ones(2), atol=0.1)  # not asked for


def test_a_layer_behind_dropout_begins_with_what_that_leaves_of_the_rows() -> None:
    """As in pytabkit 1.7.0, whose layers are in training mode when weights are fitted."""
    inputs = {"numbers": torch.randn(4000, 12, generator=torch.Generator().manual_seed(0))}
    wide, dropout = {**REALMLP, "units": 60}, {"type": "dropout", "rate": 0.5}
    network = begun(plan((12,), wide, dropout, REALMLP, DENSE), inputs)
    assert network.training
    in_training, in_use = (
        outputs_of(network.train(mode), inputs)["2_dense"].std(0) for mode in (True, False)
    )
    assert torch.allclose(in_training, torch.ones(6), atol=0.05)
    # Dropout doubles what independent inputs of mean 0 add to the variance.
    assert (in_use < 0.75).all()


def test_batch_norm_normalises_by_the_rows_and_keeps_its_running_statistics() -> None:
    inputs = {"numbers": torch.randn(200, 12, generator=torch.Generator().manual_seed(0)) * 9 + 4}
    planned = plan((12,), {"type": "batch_norm"}, REALMLP, DENSE)
    network = begun(planned, inputs)
    assert network.training
    state = network.state_dict()
    assert not state["0_batch_norm.running_mean"].any()
    assert not state["0_batch_norm.num_batches_tracked"].any()
    seen = outputs_of(network, inputs)["1_dense"]
    assert torch.allclose(seen.std(0, correction=0), torch.ones(6), atol=1e-4)


def test_filters_have_unit_variance_over_rows_and_positions_and_constants_stay_finite() -> None:
    spec = {"type": "conv1d", "out_channels": 5, "kernel_size": 3}
    spec |= {"init": "unit_variance", "bias_init": "data_hull"}
    planned = plan((3, 16), spec, {"type": "flatten"}, DENSE)
    inputs = {"numbers": torch.randn(50, 48, generator=torch.Generator().manual_seed(0))}
    network = begun(planned, inputs)
    seen = outputs_of(network, inputs)["0_conv1d"]
    assert torch.allclose(seen.std((0, 2), correction=0), torch.ones(5), atol=1e-4)
    constant = begun(planned, {"numbers": torch.ones(50, 48)})
    assert all(one.isfinite().all() for one in constant.parameters())


def test_the_seed_decides_and_nothing_else_is_drawn_from() -> None:
    inputs = {"numbers": torch.randn(60, 12, generator=torch.Generator().manual_seed(0))}
    planned = plan((12,), REALMLP, {"type": "dropout", "rate": 0.5}, REALMLP, DENSE)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (begun(planned, inputs, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0_dense.bias"], other["0_dense.bias"])


def test_each_fold_of_a_stack_begins_with_its_own_rows() -> None:
    planned = plan((12,), REALMLP, DENSE)
    rows = [made_rows(planned, PAIR, 40), made_rows(planned, PAIR, 40)]
    stack = StackedNetwork(planned, [1, 1], torch.device("cpu"), [0, 1], rows)
    for fold, train in enumerate(rows):
        network = build_network(planned, seed=1)
        initialise_from_rows(network, planned, train, seed=1)
        found = stack.state_dict(fold, stack.parameters.values, stack.buffers)
        assert all(torch.equal(found[name], one) for name, one in network.named_parameters())


@pytest.mark.parametrize("share", ["batch", "mini", "none"])
def test_members_of_an_ensemble_begin_by_their_own_outputs(share: str) -> None:
    planned = plan_members(share, REALMLP, REALMLP, DENSE)
    inputs = made_rows(planned, PAIR, 200).inputs
    network = begun(planned, dict(inputs))
    seen = outputs_of(network.eval(), dict(inputs))["1_dense"].view(3, 200, 6)
    bias = network.get_parameter("1_dense.bias")
    without = seen - bias.view(-1, 1, 6)  # [members, rows, units]
    axes = 1 if share == "none" else (0, 1)
    deviations = without.std(axes, correction=0)
    assert torch.allclose(deviations, torch.ones_like(deviations), atol=1e-4)
    assert len({*bias.flatten().tolist()}) == bias.numel() == (6 if share == "mini" else 18)
    assert (-bias <= without.amax((0, 1))).all()


def test_wide_networks_begin_with_fewer_rows() -> None:
    wide = {"type": "conv2d", "out_channels": 64, "kernel_size": 3, "padding": "same"}
    shape = (3, 64, 64)
    assert num_rows_to_start_from(plan((12,), REALMLP, DENSE)) == 1024
    assert 16 <= num_rows_to_start_from(plan(shape, wide, {"type": "flatten"}, DENSE)) < 200


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    parts = ["train"] * 60 + ["validation"] * 10 + ["test"] * 10
    lines = [
        f"{row * 7 % 40},{row * 3 % 11},{part},{row * 7 % 40 - row % 5}"
        for row, part in enumerate(parts)
    ]
    Path("table.csv").write_text("\n".join(["a,b,part,y", *lines]) + "\n")
    sections = {
        "data": {"path": "table.csv", "target": "y", "split": {"column": "part"}},
        "model": {"layers": [{**REALMLP, "activation": "mish"}, REALMLP | {"units": 1}]},
        "training": {"epochs": 2, "batch_size": 16},
        "report": False,
    }
    Path("config.json").write_text(json.dumps(sections))
    return Path("config.json")


def test_weights_are_the_same_from_rows_that_are_held_and_streamed(
    config: Path, dlcli: Command
) -> None:
    found = []
    for streaming in ("true", "false"):
        more = ("--set", f"data.streaming={streaming}")
        outcome = dlcli("predict", config, "table.csv", "--untrained", "-o", "-", *more)
        assert outcome.code == 0, outcome.err
        found.append(outcome.out)
        assert dlcli("train", config, "--run-dir", f"run-{streaming}", *more).code == 0
    assert found[0] == found[1]


def test_a_resumed_run_keeps_its_weights(config: Path, dlcli: Command) -> None:
    one = ("--set", "training.epochs=1")
    for run, more in (("straight", [()]), ("resumed", [one, ("--resume",)])):
        for options in more:
            assert dlcli("train", config, "--run-dir", run, *options).code == 0
    straight, resumed = (Path(run, "best.safetensors") for run in ("straight", "resumed"))
    first, second = (safetensors.numpy.load(path.read_bytes()) for path in (straight, resumed))
    assert all((first[name] == second[name]).all() for name in first)


def test_settings_that_undo_each_other_are_refused(config: Path, dlcli: Command) -> None:
    for change, message in (
        ("bias=false", "`bias_init` has no effect where `bias` is false"),
        ("initial={bias: [1]}", "`bias_init` has no effect where `initial.bias` is given"),
    ):
        refused = dlcli("validate", config, "--set", f"model.layers[1].{change}")
        assert refused.code == 2
        assert message in refused.err
