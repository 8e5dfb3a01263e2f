"""Runs of ensembles: refusals, predictions, pages, resuming, starting from another's weights."""

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

from dlcli.cli.app import run as run_dlcli
from dlcli.config import LoadedConfig
from dlcli.explaining.reasons.filters import find_filters
from dlcli.explaining.reasons.units import map_units, measure_units
from dlcli.explaining.surface.landscape import random_directions
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.builder import build_network
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from tests.conftest import Command
from tests.layers.samples import DENSE
from tests.reliability.comparing import differences

HIDDEN = {"type": "dense", "units": 4, "activation": "relu"}
NORM = {"type": "batch_norm"}
LAYERS: list[dict[str, Any]] = [HIDDEN, {"type": "dropout", "rate": 0.2}, DENSE]

CONVOLUTION: list[dict[str, Any]] = [
    {"type": "reshape", "shape": [2, 2]},
    {"type": "conv1d", "out_channels": 2, "kernel_size": 1},
    {"type": "flatten"},
]

REFUSED: list[tuple[list[dict[str, Any]], str, str]] = [
    ([HIDDEN, NORM, DENSE], "mini", "layers[1]: the members of an ensemble would influence"),
    ([HIDDEN, NORM, DENSE], "none", "use layer_norm, or put it before the first dense layer"),
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
            *CONVOLUTION,
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


PAIRS = [{**CONVOLUTION[0], "shape": [1, 2]}, *CONVOLUTION[1:]]  # of the two columns
AS_ADVISED: list[tuple[list[dict[str, Any]], str]] = [
    ([HIDDEN, {"type": "layer_norm"}, DENSE], "batch"),
    ([NORM, HIDDEN, DENSE], "batch"),
    ([HIDDEN, DENSE], "batch"),
    ([DENSE], "none"),
    ([{"type": "residual", "layers": [HIDDEN, {**HIDDEN, "units": 2}]}, DENSE], "batch"),
    ([*PAIRS, HIDDEN, DENSE], "batch"),
    ([HIDDEN, *CONVOLUTION, DENSE], "mini"),
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


@pytest.mark.parametrize(("layers", "share"), AS_ADVISED)
def test_what_the_refusals_advise_is_taken(
    layers: list[dict[str, Any]], share: str, folder: Path, load: Callable[..., LoadedConfig]
) -> None:
    model = {"layers": layers, "ensemble": {"members": 3, "share": share}}
    planned = prepare(load(folder / "t.csv", "y", data={"features": ["x1", "x2"]}, model=model))
    rows = {"numbers": torch.ones(4, 2)}
    assert build_network(planned.plan, seed=0).train()(rows).shape == (4, 3, 3)


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
