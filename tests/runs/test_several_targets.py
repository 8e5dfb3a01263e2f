"""Several targets of two tasks, some of them missing, through the whole program."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from dlcli.training.saving.weights import load_saved_weights
from tests.conftest import ROOT, Command
from tests.reliability.comparing import differences

CONFIG = ROOT / "configs" / "two_targets.yaml"
PENGUINS = ROOT / "data" / "penguins.csv"
QUIET = ["--set", "report=false"]
SHORT = [*QUIET, "--set", "training.epochs=2"]


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return penguins of which many lack one target, and a few lack both."""
    file = tmp_path_factory.mktemp("gaps") / "gaps.csv"
    rows = pl.read_csv(PENGUINS, null_values="NA").with_row_index("row")
    lack = {"species": pl.col("row") % 5 == 0, "body_mass_g": pl.col("row") % 3 == 0}
    rows = rows.with_columns(
        pl.when(gap).then(None).otherwise(pl.col(name)).alias(name) for name, gap in lack.items()
    )
    rows.drop("row").write_csv(file)
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets") / "run"
    epochs = ["--set", "training.epochs=25", "--set", "report=full"]
    assert run_dlcli(["train", str(CONFIG), *epochs, "--run-dir", str(folder)]) == 0
    return folder


def test_each_target_has_figures_and_predictions_of_its_own(dlcli: Command, run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    test: dict[str, Any] = summary["test"]
    assert test["species.accuracy"] > 0.95
    assert test["body_mass_g.r2"] > 0.6
    assert dlcli("predict", run, PENGUINS, "-o", "p.csv").code == 0
    found = pl.read_csv("p.csv", null_values="NA")
    figures = dlcli("evaluate", run, PENGUINS, "--json").json["data"]
    right = (found["prediction_species"] == found["species"]).to_numpy().mean()
    assert figures["species.accuracy"] == pytest.approx(right)
    known = found.filter(pl.col("body_mass_g").is_not_null())
    error = (known["prediction_body_mass_g"] - known["body_mass_g"]).to_numpy()
    assert len(known) == 342
    assert figures["body_mass_g.rmse"] == pytest.approx((error**2).mean() ** 0.5)
    scale = load_saved_weights(run / "best.safetensors").fitted.target.parts[1].unit
    expected = figures["species.loss"] + 0.5 * figures["body_mass_g.loss"] / scale**2
    assert figures["loss"] == pytest.approx(expected)


def test_the_page_has_a_part_for_each_target(run: Path) -> None:
    titles = re.findall("<h2>(.*?)</h2>", (run / "report.html").read_text("utf-8"))
    for title in ("Metrics", "Largest errors", "Permutation importance", "Partial dependence"):
        assert f"species: {title}" in titles
        assert f"body_mass_g: {title}" in titles
    assert "species: Calibration" in titles
    assert {file.stem for file in run.glob("target_*_importance.svg")} == {
        "target_0_importance",
        "target_1_importance",
    }


def test_a_missing_target_does_not_hold_back_the_other(dlcli: Command, gaps: Path) -> None:
    data = ["--set", f"data.path={gaps}"]
    refused = dlcli("train", CONFIG, *data, *SHORT)
    assert refused.code == 3
    assert "the targets 'species' and 'body_mass_g' are all missing here and in " in refused.err
    drop = [*data, "--set", "data.drop_missing_target=true"]
    outcome = dlcli("train", CONFIG, *drop, *SHORT, "--run-dir", "r", "--json")
    rows = pl.read_csv(gaps)
    either = rows.filter(pl.col("species").is_not_null() | pl.col("body_mass_g").is_not_null())
    assert sum(outcome.json["rows"].values()) == len(either) < len(rows)
    shares = load_saved_weights(Path("r/best.safetensors")).fitted.target
    assert shares.model_dump()["shares"] == pytest.approx([0.86, 0.70], abs=0.05)
    for more in ("data.streaming=true", "training.shards=2", "training.accumulate_batches=2"):
        assert dlcli("train", CONFIG, *drop, *SHORT, "--set", more, "--smoke").code == 0


def test_early_stopping_and_assertions_know_the_figures_of_a_target(dlcli: Command) -> None:
    stop = ["--set", "training.early_stopping={patience: 2, metric: body_mass_g.rmse}"]
    outcome = dlcli("train", CONFIG, *SHORT, *stop, "--json", "--assert", "epochs >= 1")
    assert outcome.json["watched"] == "body_mass_g.rmse"
    asserted = dlcli("train", CONFIG, *SHORT, "--assert", "test.species.accuracy >= 2")
    assert asserted.code == 8
    stop = ["--set", "training.early_stopping.metric=sex.accuracy"]
    assert (
        "has no sex.accuracy; use one of loss, species.loss" in dlcli("validate", CONFIG, *stop).err
    )


def test_a_stopped_run_goes_on_to_the_same_bits(dlcli: Command, gaps: Path) -> None:
    data = ["--set", f"data.path={gaps}", "--set", "data.drop_missing_target=true"]
    for epochs, folder, more in (
        ("4", "whole", []),
        ("2", "half", []),
        ("4", "half", ["--resume"]),
    ):
        epoch = ["--set", f"training.epochs={epochs}"]
        outcome = dlcli("train", CONFIG, "--run-dir", folder, *QUIET, *data, *epoch, *more)
        assert outcome.code == 0, outcome.err
    assert differences(Path("whole"), Path("half")) == []


def test_optimizers_are_compared_by_the_sum(dlcli: Command, gaps: Path) -> None:
    data = ["--set", f"data.path={gaps}", "--set", "data.drop_missing_target=true"]
    options = ["--optimizers", "sgd,adam", "--seeds", "2", "--lrs", "0.01", "--json"]
    outcome = dlcli("compare-optimizers", CONFIG, *data, *SHORT, *options)
    assert outcome.code == 0, outcome.err
    assert "species.accuracy" in json.dumps(outcome.json)


def test_weights_of_heads_go_to_the_targets_of_their_names(dlcli: Command, run: Path) -> None:
    start = ["--set", f"model.start_from={run}", "--set", "model.freeze=[outputs.species, 0]"]
    outcome = dlcli("train", CONFIG, *SHORT, *start, "--run-dir", "on")
    assert outcome.code == 0, outcome.err
    before, after = (
        load_saved_weights(one / "best.safetensors").weights for one in (run, Path("on"))
    )
    for name in before:
        is_frozen = name.startswith(("0_dense", "outputs.0_species"))
        assert (before[name] == after[name]).all() == is_frozen or "columns" in name


def test_one_last_layer_may_give_the_outputs_of_all(dlcli: Command) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["data"]["path"] = str(PENGUINS)
    config["model"] = {"layers": [*config["model"]["layers"], {"type": "dense"}]}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    ensemble = ["--set", "model.ensemble={members: 2, share: mini}"]
    outcome = dlcli("train", "c.yaml", *SHORT, *ensemble, "--run-dir", "r", "--json")
    assert outcome.code == 0, outcome.err
    written = yaml.safe_load(Path("r/config.yaml").read_text())
    assert written["model"]["layers"][-1]["units"] == 4
    assert written["data"]["task"] == {"species": "multiclass", "body_mass_g": "regression"}
    assert written["model"]["outputs"]["body_mass_g"]["loss"]["type"] == "mse"
    assert dlcli("evaluate", "r").code == 0


def test_the_heads_are_drawn(dlcli: Command) -> None:
    drawn = dlcli("describe", CONFIG).out
    assert (
        "input (13) → 0 dense relu (16) ─┐\n"
        "┌───────────────────────────────┘\n"
        "├─ species → 0 dense (3)\n"
        "└─ body_mass_g → 0 dense relu (8) → 1 dense (1)\n"
    ) in drawn
    assert "body_mass_g.1 dense" in drawn


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.target=[species]", "is written without brackets, as in target: species"),
        ("data.target=[species, species]", "`target` has duplicates: species"),
        ("data.target=species", "is for several targets, and data.target names one"),
        ("data.task={sex: binary}", "`task` names 'sex', which is no target; the targets: species"),
        ("loss=mse", "each of several targets has its own: say it in model.outputs"),
        ("model.outputs.weight={loss: mse}", "'weight' is no target; the targets (data.target)"),
        ("model.outputs.species.loss=mse", "mse doesn't fit a multiclass target; use cross_"),
        ("model.outputs.species.layers=[]", "'species' has no layers, and other targets do"),
        ("model.ensemble={members: 2}", "members of an ensemble have no heads"),
        ("calibration=temperature", "a temperature is for one target of classes"),
        ("data.target_scale={species: log}", "'species' is classes, and has no scale"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_on(
    dlcli: Command, setting: str, message: str
) -> None:
    outcome = dlcli("validate", CONFIG, "--set", setting)
    assert outcome.code == 2
    assert message in outcome.err


def test_folds_are_refused(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIG, "--folds", "3", *SHORT)
    assert outcome.code == 2
    assert "folds are for one target, and there are several: train without folds" in outcome.err
