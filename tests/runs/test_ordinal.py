"""`data.task: ordinal`: classes in an order, through the whole program."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dlcli.cli.app import run as run_dlcli
from dlcli.data.survey.class_order import order_hint
from tests.conftest import ROOT, Command
from tests.reliability.comparing import differences

CONFIG = ROOT / "configs" / "exam.yaml"
RESULTS = ["fail", "pass", "good", "excellent"]
QUICK = [f"--set={what}" for what in ("training.epochs=2", "report=false")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ordinal") / "run"
    options = ["--set", "report=false", "--set", "training.epochs=40", "--run-dir", str(folder)]
    assert run_dlcli(["train", str(CONFIG), *options]) == 0
    return folder


def true_probabilities(rows: pl.DataFrame) -> np.ndarray:
    """Return what data/make.py drew the results by, [rows, 4]."""
    score = (0.9 * rows["lectures"] + 0.12 * rows["hours"]).to_numpy()
    above = 1 / (1 + np.exp(np.array([3.0, 6.0, 9.0]) - score[:, None]))
    bounds = np.hstack([np.ones((len(score), 1)), above, np.zeros((len(score), 1))])
    found: np.ndarray = bounds[:, :-1] - bounds[:, 1:]
    return found


def test_a_run_comes_near_the_probabilities_that_the_data_were_drawn_by(
    dlcli: Command, run: Path
) -> None:
    rows = pl.read_csv(ROOT / "data" / "exam.csv")
    assert dlcli("predict", run, ROOT / "data" / "exam.csv", "-o", "p.csv").code == 0
    written = pl.read_csv("p.csv")
    names = [f"probability_{name}" for name in RESULTS]
    assert written.columns == [*rows.columns, "prediction", *names]
    found = written.select(names).to_numpy()
    assert found.min() >= 0
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert [RESULTS[index] for index in found.argmax(axis=1)] == written["prediction"].to_list()
    assert np.abs(found - true_probabilities(rows)).mean() < 0.04


def test_figures_are_those_of_the_task_and_the_matrix_is_in_the_order(
    dlcli: Command, run: Path
) -> None:
    outcome = dlcli("evaluate", run, ROOT / "data" / "exam.csv", "--json")
    figures: dict[str, Any] = outcome.json["data"]
    names = ["loss", "accuracy", "rank_error", "quadratic_kappa", "confusion_matrix"]
    assert [*figures] == names
    matrix = np.array(figures["confusion_matrix"])
    assert matrix.sum(axis=1).tolist() == [172, 189, 215, 224]
    ranks = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    assert figures["rank_error"] == pytest.approx((matrix * ranks).sum() / 800)
    assert figures["quadratic_kappa"] > 0.8


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("train", ["--set", "data.streaming=true", "--set", "loss.class_weights=balanced"]),
        ("train", ["--folds", "2", "--set", "data.split.validation=0", *QUICK[:1],
                   "--set", "training.early_stopping=null"]),
        ("compare-optimizers", ["--optimizers", "sgd,adam", "--seeds", "2", "--lrs", "0.1"]),
    ],
)  # fmt: skip
def test_other_commands_know_the_order(dlcli: Command, command: str, more: list[str]) -> None:
    outcome = dlcli(command, CONFIG, "--run-dir", "r", *QUICK, *more)
    assert outcome.code == 0, outcome.err


def test_a_stopped_run_goes_on_to_the_same_bits(dlcli: Command) -> None:
    options = ["--set", "report=false", "--set", "loss.label_smoothing=0.1"]
    for epochs, folder, more in (
        ("4", "whole", []),
        ("2", "half", []),
        ("4", "half", ["--resume"]),
    ):
        epoch = ["--set", f"training.epochs={epochs}"]
        outcome = dlcli("train", CONFIG, "--run-dir", folder, *options, *epoch, *more)
        assert outcome.code == 0, outcome.err
    assert differences(Path("whole"), Path("half")) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.order=null", "which has no order of its own; list its classes in data.order"),
        ("data.task=multiclass", "`order` is for `task: ordinal`, not for multiclass"),
        ("data.order=[a, b, a]", "`order` has duplicates: a"),
        ("loss=mse", "mse doesn't fit an ordinal target; use corn or cross_entropy"),
    ],
)
def test_what_has_no_order_is_refused_with_a_way_on(
    dlcli: Command, setting: str, message: str
) -> None:
    outcome = dlcli("validate", CONFIG, "--set", setting)
    assert outcome.code in (2, 3)
    assert message in outcome.err


def test_an_order_alone_asks_for_the_task(dlcli: Command) -> None:
    shutil.copy(ROOT / "data" / "exam.csv", "exam.csv")
    lines = ["data: {path: exam.csv, target: result, order: [fail, pass, good, excellent]}"]
    lines += ["model: {layers: [{type: dense}]}", "optimizer: {type: adam, lr: 0.1}"]
    Path("c.yaml").write_text("\n".join(lines))
    outcome = dlcli("validate", "c.yaml")
    assert "task: ordinal, as data.order gives the order of classes (data.task)" in outcome.out
    assert "loss: corn, the default for an ordinal target (loss)" in outcome.out


def test_init_says_where_classes_may_have_an_order() -> None:
    assert order_hint(pl.Series(["red", "green", "blue"]), "multiclass") is None
    stars = order_hint(pl.Series(["1", "5", "3", None]), "multiclass")
    assert stars == "Where the numbers are steps of a scale, set task: ordinal and loss: corn."
    words = order_hint(pl.Series(["Very low", "high", "Medium"]), "multiclass")
    assert words is not None
    assert "order: [Medium, Very low, high]" in words
    assert order_hint(pl.Series(["low", "high"]), "binary") is None
