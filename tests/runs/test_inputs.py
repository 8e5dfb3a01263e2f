"""`model.inputs`: runs of networks with several inputs, by the columns of a table."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from dlcli.config import load_config
from dlcli.network.builder import build_network
from dlcli.runs.preparation import prepare
from dlcli.runs.searching.usual_space import usual_space
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import Command
from tests.reliability.comparing import differences

DENSE = {"type": "dense"}
HIDDEN = {"type": "dense", "units": 4, "activation": "tanh"}
INPUTS: dict[str, Any] = {
    "colour": {},
    "town": {"layers": [HIDDEN]},
    "table": {
        "layers": [
            {"type": "numeric_embedding", "kind": "plr", "dim": 2, "frequencies": 3},
            {"type": "dropout", "rate": 0.2},
            {**HIDDEN, "bias_init": "data_hull"},
        ]
    },
}


def write_rows(name: str, colours: str = "rgb", num_rows: int = 60) -> Path:
    """Write rows of two numbers, a category, one with many values, and a name of each row."""
    lines = [
        f"{row * 7 % 11},{row * 5 % 13},{colours[row % len(colours)]},t{row % 6},row {row},"
        f"{'xyz'[row * 5 % 7 % 3]}"
        for row in range(num_rows)
    ]
    path = Path(name)
    path.write_text("\n".join(["size,age,colour,town,id,y", *lines]) + "\n")
    return path


def write(folder: Path, rows: Path, name: str = "c.yaml", **model: Any) -> Path:
    config = {
        "data": {
            "path": str(rows),
            "target": "y",
            "one_hot_max": 4,
            "split": {"validation": 0.25},
        },
        "model": {"inputs": INPUTS, "layers": [HIDDEN, DENSE], **model},
        "optimizer": {"type": "adam", "lr": 0.03},
        "training": {"epochs": 4, "batch_size": 15},
        "report": False,
    }
    path = folder / name
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a config, and a run of it."""
    folder = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = write(folder, write_rows("t.csv").absolute())
        command = ["train", str(config), "--run-dir", "run", "--set", "report=quick"]
        assert run_dlcli(command) == 0
    return folder


def text(outcome: Any) -> str:
    return " ".join((outcome.out + outcome.err).split())


def begun(config: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return what a config's network begins with, and what is said of it."""
    prepared = prepare(load_config(config))
    network = build_network(prepared.plan, seed=prepared.config.seed)
    return {name: one.numpy() for name, one in network.state_dict().items()}, "\n".join(
        prepared.notes
    )


def test_a_run_is_resumed_to_the_bit_and_predicts_what_it_evaluates(
    folder: Path, dlcli: Command
) -> None:
    command = ("train", folder / "c.yaml", "--run-dir", "r")
    assert dlcli(*command, "--set", "training.epochs=2").code == 0
    assert "resumed in epoch 3" in dlcli(*command, "--resume").out
    run = folder / "run"
    left = {"report.html", "report.json", "reports"}
    assert {*differences(run, Path("r"))} <= left
    assert dlcli("predict", "r", folder / "t.csv", "-o", "p.csv").code == 0
    predicted, rows = pl.read_csv("p.csv"), pl.read_csv(folder / "t.csv")
    figures = dlcli("evaluate", run, folder / "t.csv", "--json").json["data"]
    assert figures["accuracy"] == pytest.approx((predicted["prediction"] == rows["y"]).mean())
    resolved = load_config(run / "config.yaml").config.model
    assert resolved.combine == "concat"
    assert [*(resolved.inputs or {})] == [*INPUTS]


def test_describe_and_the_report_show_each_input(folder: Path, dlcli: Command) -> None:
    out = dlcli("describe", folder / "c.yaml").out
    assert "colour (3) ──" in out
    assert "town (4) → 0 dense tanh (4) ──" in out
    assert "└─ concat (11) → 0 dense tanh (4) → 1 dense (3)" in out
    assert "input table" in out
    assert "  table.2 dense tanh" in out
    page = (folder / "run" / "report.html").read_text()
    assert "table.2 dense tanh" in page
    assert "inputs.1_town.0_dense" in page, "its activations"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"size": {}, "colour": {}, "twon": {}, "table": {}}, "twon", "did you mean 'town'"),
    ({"y": {}, "table": {}}, "y", "'y' is the target, which is predicted and is no input"),
    ({"id": {}, "table": {}}, "id", "the column 'id' is left out, "),
    (
        {"size": {}, "age": {}},
        "",
        "no input has 'colour', 'town': add `table: {layers: []}`, the input",
    ),
    (
        {"size": {}, "age": {}, "colour": {}, "town": {}, "table": {}},
        "table",
        "has no columns, as each has an input of its own: leave it out",
    ),
    ({}, "", "must have at least 1, not {}"),
    ({"size": {"layer": []}, "table": {}}, "size.layer", "did you mean 'layers'"),
    ({"size": {"units": 3}, "table": {}}, "size.units", "unknown key"),
    ({"size": [], "table": {}}, "size", "must be a mapping, not []"),
    ({"size": {"layers": [DENSE]}, "table": {}}, "size.layers[0]", "units"),
]


@pytest.mark.parametrize(("inputs", "path", "said"), REFUSED)
def test_inputs_that_are_no_columns_or_leave_some_out_are_refused(
    inputs: dict[str, Any], path: str, said: str, folder: Path, dlcli: Command, tmp_path: Path
) -> None:
    outcome = dlcli("validate", write(tmp_path, folder / "t.csv", inputs=inputs))
    assert outcome.code == 2
    said_there = f"model.inputs{'.' * bool(path)}{path}: "
    assert said in text(outcome).partition(said_there)[2]


@pytest.mark.parametrize(
    "settings",
    [
        ["model.inputs.table={layers: []}"],
        ["data.features=[size, age]"],
    ],
)
def test_the_advice_on_columns_without_an_input_works(
    settings: list[str], folder: Path, dlcli: Command, tmp_path: Path
) -> None:
    config = write(tmp_path, folder / "t.csv", inputs={"size": {}, "age": {}})
    words = [word for setting in settings for word in ("--set", setting)]
    outcome = dlcli("validate", config, *words, "--set", "data.one_hot_max=10")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("combine", ["sum", "attention"])
def test_the_advice_on_inputs_of_unequal_size_works(
    combine: str, folder: Path, dlcli: Command
) -> None:
    command = ("validate", folder / "c.yaml", "--set", f"model.combine={combine}")
    outcome = dlcli(*command)
    assert outcome.code == 2
    said = text(outcome)
    assert "the features are: colour 3, town 4, table 4" in said
    assert "as in {type: dense, units: 4}" in said
    assert (
        dlcli(*command, "--set", "model.inputs.colour.layers=[{type: dense, units: 4}]").code == 0
    )


def test_a_run_begins_with_the_weights_of_another_by_input_and_by_column(
    folder: Path, dlcli: Command
) -> None:
    rows = write_rows("u.csv", colours="grbk", num_rows=48).absolute()
    whole = write(folder, folder / "t.csv", "same.yaml", start_from="run")
    weights, told = begun(whole)
    trained = load_checkpoint(folder / "run" / "best.safetensors").weights
    assert weights.keys() == trained.keys()
    assert all(np.array_equal(weights[name], trained[name].numpy()) for name in trained)
    assert "new, initialised" not in told

    config = write(
        folder,
        rows,
        "other.yaml",
        inputs={name: INPUTS[name] for name in ("table", "colour", "town")},
        start_from="run",
        freeze=["inputs.town"],
    )
    weights, told = begun(config)
    assert "new, initialised as usual: 'colour' = k (" in told
    assert "frozen: inputs.2_town.0_dense" in told
    assert np.array_equal(
        weights["inputs.0_table.2_dense.weight"], trained["inputs.2_table.2_dense.weight"].numpy()
    )
    first, before = weights["0_dense.weight"], trained["0_dense.weight"].numpy()
    assert np.array_equal(first[:, :4], before[:, 7:]), "what the table's layers give"
    assert np.array_equal(first[:, [4, 5, 7]], before[:, :3]), "b, g, r: not k"
    assert np.array_equal(first[:, 8:], before[:, 3:7])
    assert dlcli("predict", config, rows, "--untrained", "-o", "-").code == 0
    outcome = dlcli("validate", config, "--set", "model.freeze=[inputs.twon, inputs.colour]")
    assert outcome.code == 2
    assert "there is no layer inputs.twon; layers with weights: inputs.table" in text(outcome)
    assert "did you mean 'inputs.town'?" in text(outcome)
    assert "model.freeze[1]: " in text(outcome), "it has no layers"


def test_an_input_that_is_new_begins_anew(folder: Path, dlcli: Command) -> None:
    run = write(folder, folder / "t.csv", "few.yaml", inputs={"table": {"layers": [HIDDEN]}})
    words = ("--set", "data.features=[size, age, colour]")
    assert dlcli("train", run, *words, "--run-dir", folder / "few").code == 0
    inputs = {"table": {"layers": [HIDDEN]}, "town": {"layers": [HIDDEN]}}
    config = write(folder, folder / "t.csv", "more.yaml", inputs=inputs, start_from="few")
    weights, told = begun(config)
    trained = load_checkpoint(folder / "few" / "best.safetensors").weights
    assert "new, initialised as usual: 'town', input 'town' (" in told
    assert np.array_equal(weights["0_dense.weight"][:, :4], trained["0_dense.weight"].numpy())
    for key, said in (
        ("model.combine=sum", "sum of its inputs here, concat of its inputs in the run"),
        ("model.inputs=null", "a single input here, concat of its inputs in the run"),
        ("model.inputs.table.layers=[]", "0 layers with weights here, 1 layer with weights in"),
    ):
        outcome = dlcli("validate", config, "--set", key)
        assert outcome.code == 2
        assert said in text(outcome)


def test_a_search_tries_settings_of_inputs(folder: Path, dlcli: Command, tmp_path: Path) -> None:
    space = usual_space(load_config(folder / "c.yaml").config)
    assert "model.inputs.town.layers[0].units" in space
    assert "model.inputs.table.layers[1].rate" in space
    inputs = {**INPUTS, "colour": {"layers": [HIDDEN]}}
    config = write(tmp_path, folder / "t.csv", inputs=inputs, combine="sum")
    summed = usual_space(load_config(config).config)
    assert "model.inputs.town.layers[0].units" not in summed
    key = "tune={space: {'model.inputs.town.layers[0].units': {choice: [2, 3]}}, trials: 2}"
    outcome = dlcli("validate", folder / "c.yaml", "--set", key)
    assert outcome.code == 0, outcome.err
    outcome = dlcli("validate", folder / "c.yaml", "--set", key.replace("units", "unit"))
    assert outcome.code == 2
    assert "did you mean 'units'" in text(outcome)
