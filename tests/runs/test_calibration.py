"""Temperatures: found on the validation rows, applied to new rows, and only where that helps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from dlcli.explaining.quality.temperature import assess_temperature, log_loss
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import Command

# A network that is far too sure of itself and doesn't learn: its only weight is given.
STEEP = {"type": "dense", "units": 1, "initial": {"weight": [[9.0]], "bias": [0.0]}}


@pytest.fixture(scope="module")
def steep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train such a network; return the folder of its table, its config and its run."""
    folder = tmp_path_factory.mktemp("steep")
    random = np.random.default_rng(5)
    x = random.normal(size=900)
    y = np.where(random.random(900) < 1 / (1 + np.exp(-x)), "yes", "no")
    pl.DataFrame({"x": x, "y": y}).write_csv(folder / "table.csv")
    config = {
        "data": {"path": "table.csv", "target": "y", "split": {"validation": 0.3, "test": 0.3}},
        "model": {"layers": [STEEP]},
        "optimizer": {"type": "sgd", "lr": 1e-6},
        "training": {"epochs": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    assert run_dlcli(["train", str(folder / "config.yaml"), "--run-dir", str(folder / "run")]) == 0
    return folder


def summary_of(run: Path) -> Any:
    return json.loads((run / "summary.json").read_text("utf-8"))


def test_a_temperature_that_helps_is_applied_to_all_but_the_validation_rows(
    steep: Path, dlcli: Command
) -> None:
    summary = summary_of(steep / "run")
    calibration = summary["calibration"]
    assert calibration["why"] == "helps"
    assert calibration["gain"] > calibration["gain_error"] > 0
    assert calibration["applied"] == load_checkpoint(steep / "run/best.safetensors").temperature
    # Standardised x times 9, where 1 would be right.
    assert calibration["applied"] == pytest.approx(9, rel=0.25)
    without = dlcli(
        "train", steep / "config.yaml", "--set", "calibration=none", "--json", "--run-dir", "none"
    ).json
    assert without["calibration"] is None
    assert without["validation"] == summary["validation"]
    assert without["test"]["loss"] > 2 * summary["test"]["loss"]
    assert without["test"]["accuracy"] == summary["test"]["accuracy"]
    assert without["test"]["roc_auc"] == summary["test"]["roc_auc"]
    weights = [load_checkpoint(run / "best.safetensors") for run in (steep / "run", Path("none"))]
    for name, tensor in weights[0].weights.items():
        assert tensor.equal(weights[1].weights[name])
    assert weights[1].temperature is None


def test_evaluate_and_predict_use_the_temperature_and_say_so(steep: Path, dlcli: Command) -> None:
    run, summary = steep / "run", summary_of(steep / "run")
    again = dlcli("evaluate", run, "--json")
    assert again.json["test"]["loss"] == summary["test"]["loss"]
    assert again.json["validation"]["loss"] == summary["validation"]["loss"]
    assert "the run's temperature" in again.err
    figures = dlcli("evaluate", run, steep / "table.csv", "--json").json["data"]
    predicted = dlcli("predict", run, steep / "table.csv", "-o", "out.csv")
    assert "calibrated with the run's temperature" in predicted.err
    rows = pl.read_csv("out.csv").to_dicts()
    losses = [-np.log(row[f"probability_{row['y']}"]) for row in rows]
    assert np.mean(losses) == pytest.approx(figures["loss"], rel=1e-5)


def test_the_screen_and_the_page_say_what_a_temperature_does(steep: Path, dlcli: Command) -> None:
    shown = dlcli("train", steep / "config.yaml", "--run-dir", "run").out
    summary = summary_of(Path("run"))
    temperature = f"{summary['calibration']['applied']:.3g}"
    assert f"probabilities are calibrated: temperature {temperature}, found on" in shown
    page = (steep / "run/report.html").read_text("utf-8")
    assert f"with the logits divided by {temperature}, found on the 270 validation rows" in page
    assert f"and the log loss {summary['test']['loss']:.3f} instead of" in page
    assert "Predictions are made with this temperature; calibration: none leaves" in page


def test_a_finished_run_that_is_resumed_keeps_its_temperature_or_loses_it(
    steep: Path, dlcli: Command
) -> None:
    command = ("train", steep / "config.yaml", "--run-dir", "run")
    assert dlcli(*command).code == 0
    before = summary_of(Path("run"))
    assert dlcli(*command, "--resume").code == 0
    assert summary_of(Path("run"))["calibration"] == before["calibration"]
    assert load_checkpoint(Path("run/best.safetensors")).temperature is not None
    assert dlcli(*command, "--resume", "--set", "calibration=none").code == 0
    assert load_checkpoint(Path("run/best.safetensors")).temperature is None


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({}, "few rows"),
        ({"split": {"validation": 0.3, "test": 0.3, "group": "g"}}, "groups"),
        ({"loss": {"type": "binary_cross_entropy", "class_weights": "balanced"}}, "class weights"),
    ],
)
def test_a_temperature_whose_use_is_uncertain_is_not_applied_unless_asked_for(
    sections: dict[str, Any], why: str, dlcli: Command, table: Callable[..., Path]
) -> None:
    wrong = (2, 5, 11, 17, 23, 31)
    rows = [
        f"{index % 12 - 5.5},{'yes' if (index % 12 > 5) != (index % 37 in wrong) else 'no'},{index}"
        for index in range(120)
    ]
    path = table("x,y,g", *rows)
    sections = {"split": {"validation": 0.3, "test": 0.3}, **sections}
    config = {
        "data": {"path": str(path), "target": "y", "features": ["x"], "split": sections["split"]},
        "model": {"layers": [STEEP]},
        "optimizer": {"type": "sgd", "lr": 1e-6},
        "training": {"epochs": 1},
        **({"loss": sections["loss"]} if "loss" in sections else {}),
    }
    Path("config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    found = dlcli("train", "config.yaml", "--json", "--run-dir", "auto").json["calibration"]
    assert (found["applied"], found["why"]) == (None, why)
    requested = dlcli(
        "train",
        "config.yaml",
        "--set",
        "calibration=temperature",
        "--json",
        "--run-dir",
        "requested",
    ).json["calibration"]
    assert (requested["applied"], requested["why"]) == (found["temperature"], "requested")


def drawn(num_rows: int, factor: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of two classes, so many times too large, and classes."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, num_rows)
    truth = (random.random(num_rows) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return factor * np.stack([np.zeros(num_rows), logits], axis=1), truth


def test_a_temperature_is_applied_by_chance_in_few_draws_and_where_it_is_needed_in_most() -> None:
    calibrated = [assess_temperature(*drawn(100, 1.0, seed), seed) for seed in range(40)]
    assert sum(found.is_clear for found in calibrated) <= 2
    steep = [assess_temperature(*drawn(100, 2.5, seed), seed) for seed in range(12)]
    assert sum(found.is_clear for found in steep) >= 10
    # What it says to gain is what it gains on other rows, not more.
    others = drawn(20_000, 2.5, 1_000)
    gains = [log_loss(*others) - log_loss(*others, found.temperature or 1) for found in steep]
    assert np.mean([found.gain for found in steep]) == pytest.approx(np.mean(gains), rel=0.3)


def test_weights_count_as_repeated_rows() -> None:
    logits, truth = drawn(60, 2.0, 3)
    counts = np.random.default_rng(0).integers(1, 4, 60)
    repeated = np.repeat(np.arange(60), counts)
    weighted = assess_temperature(logits, truth, 0, counts.astype(np.float64))
    plain = assess_temperature(logits[repeated], truth[repeated], 0)
    assert weighted.temperature == pytest.approx(plain.temperature)
    assert weighted.loss_before == pytest.approx(plain.loss_before)
    assert weighted.loss_after == pytest.approx(plain.loss_after)
