"""Ensembles whose members train as one: TabM's values, predictions, costs, and what is refused."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from dlcli.cli.app import run as run_dlcli
from dlcli.config import LoadedConfig
from dlcli.config.sections.model import ModelConfig
from dlcli.data.signature import Signature
from dlcli.explaining.reasons.filters import find_filters
from dlcli.explaining.reasons.units import map_units, measure_units
from dlcli.explaining.surface.landscape import random_directions
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.builder import build_network
from dlcli.network.plan import plan_model
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.training.objective import Objective
from tests.conftest import Command
from tests.layers.samples import DENSE, MEMBERS, SHARES, plan_members
from tests.losses.examples import loss_of
from tests.reliability.comparing import differences

HIDDEN = {"type": "dense", "units": 4, "activation": "relu"}
NORM = {"type": "batch_norm"}
LAYERS: list[dict[str, Any]] = [HIDDEN, {"type": "dropout", "rate": 0.2}, DENSE]

# Of tabm 0.0.3: TabM(n_num_features=3, d_out=3, k=2, n_blocks=2, d_block=4, dropout=0.0,
# arch_type="tabm", …, start_scaling_init="normal", or None for "tabm-packed"), its parameters those
# of `numbered` in the order below: the loss of four rows, the mean probabilities of the first two,
# and both after a step of SGD with lr=0.5.
PACKAGE = {
    "batch": (
        (1.6737357, [0.346215, 0.604550, 0.049236, 0.394327, 0.571500, 0.034173]),
        (1.3090874, [0.274028, 0.600225, 0.125746, 0.330586, 0.580728, 0.088685]),
    ),
    "mini": (
        (1.8083035, [0.699596, 0.098679, 0.201726, 0.605659, 0.138422, 0.255919]),
        (1.2802160, [0.478172, 0.227764, 0.294064, 0.430288, 0.253008, 0.316704]),
    ),
    "none": (
        (1.4605075, [0.147391, 0.483212, 0.369397, 0.108987, 0.524356, 0.366657]),
        (0.9007936, [0.346410, 0.281957, 0.371633, 0.149669, 0.587348, 0.262983]),
    ),
}
SCALED = ["0_dense.output_scale", "1_dense.input_scale", "1_dense.output_scale"]
ORDER = [
    *("members.weight", "0_dense.weight", "0_dense.output_scale", "0_dense.bias", "1_dense.weight"),
    *("1_dense.input_scale", "1_dense.output_scale", "1_dense.bias", "2_dense.weight"),
    "2_dense.bias",
]


def numbered(number: int, shape: torch.Size) -> torch.Tensor:
    return torch.sin(number + torch.arange(shape.numel())).view(shape)


@pytest.mark.parametrize("share", SHARES)
def test_values_and_a_step_are_those_of_the_tabm_package(share: str) -> None:
    model = {"layers": [HIDDEN, HIDDEN, DENSE], "ensemble": {"members": 2, "share": share}}
    loss = loss_of({"type": "cross_entropy"})
    planned = plan_model(ModelConfig.model_validate(model), Signature(3, (), None, 3), loss)
    network = build_network(planned, seed=0)
    parameters = dict(network.named_parameters())
    assert set(parameters) <= set(ORDER)
    with torch.no_grad():
        for number, name in enumerate(name for name in ORDER if name in parameters):
            parameters[name].copy_(numbered(number, parameters[name].shape))
    rows = {"numbers": torch.cos(torch.arange(12.0)).view(4, 3)}
    targets = torch.tensor([0, 1, 2, 1])
    objective = Objective(loss, None, 1.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for expected_loss, probabilities in PACKAGE[share]:
        value = objective(network.train()(rows), targets)
        assert value.item() == pytest.approx(expected_loss, rel=1e-5)
        with torch.no_grad():
            predicted = loss.predictions(network.eval()(rows))
        assert predicted[:2].ravel() == pytest.approx(probabilities, abs=2e-6)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()


class TestStart:
    def test_members_begin_with_signs_that_the_numbers_of_a_column_share(self) -> None:
        weights = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE), seed=1).state_dict()
        assert set(weights["members.weight"].flatten().tolist()) == {-1.0, 1.0}
        many = [
            build_network(plan_members("batch", HIDDEN, DENSE), seed=seed).state_dict()
            for seed in range(20)
        ]
        factors = torch.cat([one["members.weight"] for one in many])
        agree = (factors[:, None, :] == factors[:, :, None]).float().mean(0)
        assert agree[1, 2] == 1
        assert ((agree - 0.5).abs() < 0.25).sum() == 5 * 5 - 5 - 2

    def test_all_else_begins_as_in_the_package(self) -> None:
        network = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE), seed=1)
        weights = network.state_dict()
        assert all((weights[name] == 1).all() for name in SCALED)
        for name in ("0_dense.bias", "1_dense.bias"):
            assert (weights[name] == weights[name][0]).all()
        for name, inputs in (("0_dense.weight", 5), ("2_dense.weight", 4), ("2_dense.bias", 4)):
            assert weights[name].abs().max() <= inputs**-0.5
            assert len(weights[name].unique()) == weights[name].numel()

    @pytest.mark.parametrize("share", SHARES)
    def test_weights_drawn_by_name_are_drawn_for_each_member(self, share: str) -> None:
        drawn = {**HIDDEN, "init": "orthogonal"}
        weights = build_network(plan_members(share, drawn, DENSE), seed=1).state_dict()
        for matrix in weights["0_dense.weight"].view(-1, 4, 5):
            assert torch.allclose(matrix @ matrix.T, torch.eye(4), atol=1e-5)
        assert not weights["0_dense.bias"].any()


@pytest.mark.parametrize("share", SHARES)
def test_a_parametrization_changes_no_prediction_at_the_start(share: str) -> None:
    rows = {"numbers": torch.randn(7, 5, generator=torch.Generator().manual_seed(1))}
    ntk = [{**layer, "parametrization": "ntk"} for layer in (HIDDEN, HIDDEN, DENSE)]
    plain, scaled = (
        build_network(plan_members(share, *specs), seed=3)
        for specs in ([HIDDEN, HIDDEN, DENSE], ntk)
    )
    assert torch.allclose(plain(rows), scaled(rows), atol=1e-6)
    factors = scaled.state_dict()["1_dense.weight"] / plain.state_dict()["1_dense.weight"]
    assert torch.allclose(factors, torch.tensor(2.0))


@pytest.mark.parametrize("share", SHARES)
def test_parameters_and_operations_are_those_of_the_modules(share: str) -> None:
    planned = plan_members(share, *MEMBERS)
    network = build_network(planned, seed=0)
    for index, layer in enumerate(planned.layers):
        module = network.get_submodule(f"{index}_{layer.config.type}")
        assert sum(p.numel() for p in module.parameters()) == layer.num_parameters
        if not layer.inner:
            shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
            expected = layer.config.tensors(layer)
            assert shapes == {name: axes.shape for name, axes in expected.items()}
    assert sum(p.numel() for p in network.parameters()) == planned.num_parameters
    with FlopCounterMode(display=False) as counter:
        network({"numbers": torch.ones(4, 5)})
    assert 2 * planned.multiply_adds * 4 == counter.get_total_flops()


@pytest.mark.parametrize("share", SHARES)
def test_gradients_agree_with_finite_differences(share: str) -> None:
    network = build_network(plan_members(share, *MEMBERS), seed=1).double()
    names = [name for name, _ in network.named_parameters()]

    def output(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)  # the same units dropped each time
        parameters = dict(zip(names, values, strict=True))
        result: torch.Tensor = torch.func.functional_call(network, parameters, ({"numbers": x},))
        return result

    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = [parameter.detach().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize("name", ["mse", "binary_cross_entropy", "cross_entropy"])
def test_a_prediction_is_the_mean_of_the_members_and_the_loss_the_mean_of_theirs(name: str) -> None:
    loss = loss_of({"type": name})
    network = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE, loss=name), seed=2)
    rows = {"numbers": 30 * torch.randn(50, 5, generator=torch.Generator().manual_seed(1))}
    targets = torch.arange(50) % 2 if name != "mse" else torch.arange(50.0)
    with torch.no_grad():
        members = network.train()(rows)
        together = network.eval()(rows)
    each = [members[:, place] for place in range(3)]
    mean = np.mean([loss.predictions(one) for one in each], axis=0)
    assert loss.predictions(together) == pytest.approx(mean, rel=1e-5, abs=1e-30)
    objective = Objective(loss, None, 1.0)
    losses = torch.stack([objective.each(one, targets) for one in each]).mean(0)
    assert torch.allclose(objective.each(members, targets), losses)
    assert torch.allclose(objective(members, targets), losses.mean())
    shares = torch.arange(50.0) / 1225
    assert torch.allclose(objective(members, targets, shares), (losses * shares).sum())


REFUSED: list[tuple[list[dict[str, Any]], str, str]] = [
    (
        [HIDDEN, {"type": "batch_norm"}, DENSE],
        "mini",
        "layers[1]: the members of an ensemble would",
    ),
    ([HIDDEN, {"type": "batch_norm"}, DENSE], "none", "use layer_norm, or put it before the first"),
    ([DENSE], "batch", "layers[0]: is each member's own, as the last dense layer"),
    (
        [{"type": "residual", "layers": [HIDDEN]}, DENSE],
        "batch",
        "layers[0]: the projection of a residual block can't be each member's own; give the last "
        "of its layers 2 outputs",
    ),
    (
        [HIDDEN, {"type": "residual", "layers": [NORM]}, DENSE],
        "mini",
        "layers[1].layers[0]: the members of an ensemble would",
    ),
    (
        [
            HIDDEN,
            {"type": "reshape", "shape": [2, 2]},
            {"type": "conv1d", "out_channels": 2, "kernel_size": 1},
            {"type": "flatten"},
            DENSE,
        ],
        "batch",
        "layers[2]: the weights of conv1d can't be each member's own",
    ),
    (
        [{**HIDDEN, "initial": {"bias": [0, 1, 2, 3]}}, DENSE],
        "none",
        "layers[0].initial: the weights of an ensemble's members can't be given as numbers",
    ),
    (
        [
            {"type": "reshape", "shape": [1, 2]},
            {"type": "conv1d", "out_channels": 3, "kernel_size": 1},
            {"type": "global_avg_pool"},
        ],
        "mini",
        "layers: an ensemble needs a dense layer",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a table, a config, and a run of it."""
    folder = tmp_path_factory.mktemp("ensemble")
    random = np.random.default_rng(3)
    x = random.normal(size=(90, 2)).round(3)
    y = np.array(["a", "b", "c"])[np.argsort(np.argsort(x @ [1, 2] + x[:, 0] ** 2)) // 30]
    pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "w": 1 + np.arange(90) % 3, "y": y}).write_csv(
        folder / "t.csv"
    )
    write(folder, LAYERS)
    run = ["train", str(folder / "c.yaml"), "--run-dir", str(folder / "run"), "--json"]
    assert run_dlcli([*run, "--set", "report=quick"]) == 0
    yield folder
    shutil.rmtree(folder)


def write(folder: Path, layers: list[dict[str, Any]], share: str = "batch", **model: Any) -> Path:
    model = {"layers": layers, "ensemble": {"members": 3, "share": share}, **model}
    config = {
        "data": {
            "path": str(folder / "t.csv"),
            "target": "y",
            "scale": "none",
            "weight": "w",
            "split": {"validation": 0.2, "test": 0.2},
        },
        "model": model,
        "loss": {"type": "cross_entropy", "class_weights": "balanced"},
        "optimizer": {"type": "adam", "lr": 0.03},
        "training": {"epochs": 4, "batch_size": 10, "accumulate_batches": 2},
        "report": False,
    }
    path = folder / "c.yaml" if not model.get("start_from") else folder / "from.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(("layers", "share", "said"), REFUSED)
def test_what_members_can_not_compute_is_refused_with_its_place(
    layers: list[dict[str, Any]],
    share: str,
    said: str,
    folder: Path,
    dlcli: Command,
    tmp_path: Path,
) -> None:
    shutil.copy(folder / "t.csv", tmp_path)
    outcome = dlcli("validate", write(tmp_path, layers, share))
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_predictions_everywhere_are_the_mean_of_the_members(folder: Path, dlcli: Command) -> None:
    weights = safetensors.numpy.load_file(folder / "run" / "best.safetensors")
    rows = pl.read_csv(folder / "t.csv")
    x, expected = rows.select("x1", "x2").to_numpy(), []
    for place in range(3):
        scaled = x * weights["members.weight"][place] @ weights["0_dense.weight"].T
        scaled = scaled * weights["0_dense.output_scale"][place] + weights["0_dense.bias"][place]
        logits = np.maximum(scaled, 0) @ weights["2_dense.weight"][place].T
        powers = np.exp(logits + weights["2_dense.bias"][place])
        expected.append(powers / powers.sum(1, keepdims=True))
    mean = np.mean(expected, axis=0)
    outcome = dlcli("predict", folder / "run", folder / "t.csv", "-o", "p.csv")
    assert outcome.code == 0, outcome.err
    predicted = pl.read_csv("p.csv").select("^probability_.*$").to_numpy()
    assert predicted == pytest.approx(mean, abs=1e-6)

    figures = dlcli("evaluate", folder / "run", folder / "t.csv", "--json").json["data"]
    codes = np.searchsorted(["a", "b", "c"], rows["y"])
    hits = np.average(mean.argmax(1) == codes, weights=rows["w"].to_numpy())
    assert figures["accuracy"] == pytest.approx(hits)


def test_members_are_shown_among_the_layers(folder: Path, dlcli: Command) -> None:
    assert "3 members, share: batch" in (folder / "run" / "report.html").read_text()
    out = dlcli("describe", folder / "c.yaml").out
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in out.splitlines() if "│" in line]
    assert ["3 members, share: batch", "3 × 2", "6", "0", "240 B"] in rows
    assert ["0 dense relu", "3 × 4", "32", "24", "960 B"] in rows
    assert ["2 dense", "3 × 3", "45", "36", "360 B"] in rows
    assert ["total", "", "83", "60", "1.99 KiB"] in rows


def test_units_that_each_member_has_for_itself_are_not_shown_as_those_of_all(folder: Path) -> None:
    model = load_model_and_data(folder / "run")
    said = Unavailable("each member of the ensemble has hidden units of its own")
    assert measure_units(model) == said
    assert map_units(model) == said
    said = Unavailable("each member of the ensemble computes the first layer for itself")
    assert find_filters(model) == said


def test_directions_of_a_landscape_are_as_long_as_each_unit_of_each_member(folder: Path) -> None:
    model = load_model_and_data(folder / "run")
    weights = dict(model.network.named_parameters())
    for direction in random_directions(model.network, model.plan, seed=1):
        moved = {name for name, values in direction.items() if values.any()}
        assert moved == {"0_dense.weight", "2_dense.weight"}
        for name in moved:
            lengths, expected = direction[name].norm(dim=-1), weights[name].norm(dim=-1)
            assert torch.allclose(lengths, expected, rtol=1e-5)


def test_a_run_is_resumed_to_the_bit(folder: Path, dlcli: Command) -> None:
    command = ("train", folder / "c.yaml", "--run-dir")
    assert dlcli(*command, "straight").code == 0
    assert dlcli(*command, "r", "--set", "training.epochs=2").code == 0
    assert "resumed in epoch 3" in dlcli(*command, "r", "--resume").out
    assert differences(Path("straight"), Path("r")) == []


def test_a_run_begins_with_the_weights_of_another_ensemble(folder: Path, dlcli: Command) -> None:
    config = write(folder, LAYERS, start_from=str(folder / "run"))
    predict = ("predict", config, folder / "t.csv", "--untrained", "-o", "-")
    begun = dlcli(*predict)
    assert begun.code == 0, begun.err
    known = dlcli("predict", folder / "run", folder / "t.csv", "-o", "-")
    assert begun.out == known.out
    other = dlcli(*predict, "--set", "model.ensemble.members=4")
    assert other.code == 2
    assert "4 members, share: batch here, 3 members, share: batch in the run" in " ".join(
        other.err.split()
    )


def test_factors_that_are_not_drawn_are_reported(folder: Path, dlcli: Command) -> None:
    command = ("validate", folder / "c.yaml", "--set", "model.ensemble.adapter_init=normal")
    assert "no factors" not in dlcli(*command).out
    outcome = dlcli(*command, "--set", "model.ensemble.share=none")
    assert outcome.code == 0
    assert "with share: none, members have no factors" in " ".join(outcome.out.split())


@pytest.mark.parametrize("kind", ["pbld", "plr", "piecewise_linear"])
def test_the_vector_of_an_embedded_number_begins_with_one_factor(
    kind: str, folder: Path, load: Callable[..., LoadedConfig]
) -> None:
    layers = [{"type": "numeric_embedding", "kind": kind, "dim": 3}, HIDDEN, DENSE]
    model = {"layers": layers, "ensemble": {"members": 16, "adapter_init": "normal"}}
    planned = prepare(load(folder / "t.csv", "y", model=model)).plan
    assert planned.ensemble is not None
    assert planned.ensemble.num_features == 9  # three numbers for each of x1, x2 and w
    network = build_network(planned, seed=1)
    weights = network.state_dict()["members.weight"]
    for column in range(3):
        rows = torch.full((50, 3), 0.5)
        rows[:, column] = torch.linspace(-100, 100, 50)
        vectors = network.get_submodule("0_numeric_embedding")(rows)
        places = (vectors != vectors[0]).any(0).nonzero().flatten()
        assert len(weights[:, places].unique(dim=1).T) == 1
    assert len(weights.unique(dim=1).T) == 3
    state = dict(network.train().state_dict())
    assert state["0_numeric_embedding.weight"].shape[0] == 3, "all members share it"
    assert network({"numbers": torch.ones(4, 3)}).shape == (4, 16, 3)
