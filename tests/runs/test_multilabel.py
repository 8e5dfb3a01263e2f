"""`data.task: multilabel`: several labels at once, through the whole program."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from dlcli.cli.app import run as run_dlcli
from tests.conftest import ROOT, Command
from tests.reliability.comparing import differences

CONFIG = ROOT / "configs" / "weather.yaml"
DATA = ROOT / "data" / "weather.jsonl"
LABELS = ["fog", "frost", "heat", "storm"]
QUICK = ["--set", "training.epochs=2", "--set", "report=false"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multilabel") / "run"
    options = ["--set", "report=false", "--set", "training.epochs=20", "--run-dir", str(folder)]
    assert run_dlcli(["train", str(CONFIG), *options]) == 0
    return folder


def test_a_run_learns_the_rules_that_the_data_were_made_by(dlcli: Command, run: Path) -> None:
    rows = pl.read_ndjson(DATA)
    assert dlcli("predict", run, DATA, "-o", "p.parquet").code == 0
    written = pl.read_parquet("p.parquet")
    names = [f"probability_{name}" for name in LABELS]
    assert written.columns == [*rows.columns, "prediction", *names]
    found = written.select(names).to_numpy()
    for row, labels in zip(found, written["prediction"], strict=True):
        assert [name for name, share in zip(LABELS, row, strict=True) if share > 0.5] == [*labels]
    wind, cold = rows["wind"] >= 50, rows["temperature"] <= 2
    storm, frost = (written["prediction"].list.contains(name) for name in ("storm", "frost"))
    assert (storm == wind).to_numpy().mean() > 0.95
    assert (frost == cold).to_numpy().mean() > 0.95
    assert (written["prediction"].list.len() == 0).sum() > 300


def test_figures_are_those_of_labels(dlcli: Command, run: Path) -> None:
    figures: dict[str, Any] = dlcli("evaluate", run, DATA, "--json").json["data"]
    names = ["loss", "macro_f1", "micro_f1", "subset_accuracy", "roc_auc", "by_label"]
    assert [*figures] == names
    labels = figures["by_label"]
    assert {name: of["rows"] for name, of in labels.items()} == {
        name: pl.read_ndjson(DATA)["warnings"].list.contains(name).sum() for name in LABELS
    }
    assert np.mean([of["f1"] for of in labels.values()]) == pytest.approx(figures["macro_f1"])
    assert "precision" in dlcli("evaluate", run, DATA).out
    assert figures["subset_accuracy"] > 0.8
    assert figures["micro_f1"] > 0.85
    assert figures["roc_auc"] > 0.9


def test_lists_and_text_in_any_file_train_the_same_network(dlcli: Command) -> None:
    rows = pl.read_ndjson(DATA)
    rows.write_parquet("a.parquet")
    text = rows["warnings"].list.join("; ")
    rows.with_columns(text.replace("", ";").alias("warnings")).write_csv("b.csv")
    rows.with_columns(text.alias("warnings")).write_csv("c.csv")
    more = {"c.csv": ["--set", "data.missing_values=[NA]"]}
    for name in ("a.parquet", "b.csv", "c.csv"):
        options = [*QUICK, "--set", f"data.path={Path(name).absolute()}", *more.get(name, [])]
        outcome = dlcli("train", CONFIG, "--run-dir", f"r/{name}", *options)
        assert outcome.code == 0, outcome.err
    figures = []
    for path in Path("r").iterdir():
        lines = (path / "metrics.jsonl").read_text().splitlines()
        figures.append([json.loads(line) | {"seconds": 0} for line in lines])
    assert figures[0] == figures[1] == figures[2]
    told = dlcli("validate", CONFIG, "--set", f"data.path={Path('b.csv').absolute()}").out
    assert "separated by ';': fog, frost, heat, storm (data.label_separator)" in " ".join(
        told.split()
    )
    refused = dlcli("validate", CONFIG, "--set", f"data.path={Path('c.csv').absolute()}")
    assert refused.code == 3
    assert "where an empty cell means that a row has no label, take '' out of" in refused.err


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("train", ["--set", "data.streaming=true", "--set", "loss.label_weights=balanced"]),
        ("train", ["--set", "model.ensemble={members: 2}", "--set", "loss.label_smoothing=0.1"]),
        ("train", ["--set", "data.weight=wind", "--set", "report=quick"]),
        ("compare-optimizers", ["--optimizers", "sgd,adam", "--seeds", "2", "--lrs", "0.1"]),
    ],
)  # fmt: skip
def test_other_commands_know_labels(dlcli: Command, command: str, more: list[str]) -> None:
    outcome = dlcli(command, CONFIG, "--run-dir", "r", *QUICK, *more)
    assert outcome.code == 0, outcome.err


def test_the_full_report_has_a_line_for_each_label(dlcli: Command, run: Path) -> None:
    outcome = dlcli("report", run)
    assert outcome.code == 0, outcome.err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Per-label results" in page
    assert "a logistic regression of each label" in page
    assert "each label has a boundary of its own" in page or "needs two numeric columns" in page


def test_a_stopped_run_goes_on_to_the_same_bits(dlcli: Command) -> None:
    for epochs, folder, more in (
        ("3", "whole", []),
        ("2", "half", []),
        ("3", "half", ["--resume"]),
    ):
        settings = ["--set", "report=false", "--set", f"training.epochs={epochs}"]
        outcome = dlcli("train", CONFIG, "--run-dir", folder, *settings, *more)
        assert outcome.code == 0, outcome.err
    assert differences(Path("whole"), Path("half")) == []


def test_a_run_on_other_labels_keeps_the_outputs_of_those_that_are_the_same(
    dlcli: Command, run: Path
) -> None:
    rows = pl.read_ndjson(DATA)
    others = rows["warnings"].list.eval(pl.element().filter(pl.element() != "fog"))
    rows.with_columns(others.alias("warnings")).write_ndjson("d.jsonl")
    options = ["--set", f"model.start_from={run}", "--set", "data.path=d.jsonl", *QUICK]
    Path("c.yaml").write_text(CONFIG.read_text())
    outcome = dlcli("train", "c.yaml", "--run-dir", "r", *options)
    assert outcome.code == 0, outcome.err
    assert "class 'fog'" in outcome.err + outcome.out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("loss.label_weights={fogg: 2}", "there is no label 'fogg'; did you mean 'fog'?"),
        ("loss=cross_entropy", "doesn't fit a multilabel target; use multilabel_cross_entropy"),
        ("calibration=temperature", "a temperature is that of one class among several"),
    ],
)
def test_what_labels_have_not_is_refused_with_a_way_on(
    dlcli: Command, setting: str, message: str
) -> None:
    outcome = dlcli("validate", CONFIG, "--set", setting)
    assert outcome.code in (2, 3)
    assert message in outcome.err


def test_init_recognises_lists_of_labels(dlcli: Command) -> None:
    outcome = dlcli("init", DATA, "--target", "warnings", "--effort", "quick")
    assert outcome.code == 0, outcome.err
    config = yaml.safe_load(outcome.out)
    assert config["data"]["task"] == "multilabel"
    assert config["loss"] == "multilabel_cross_entropy"
    assert "rows have an empty list: it counts as having no label" in " ".join(outcome.err.split())


def test_probabilities_of_an_ensemble_are_means(dlcli: Command) -> None:
    folds = ["--folds", "2", "--set", "data.split.validation=0"]
    options = [*QUICK, *folds, "--set", "training.early_stopping=null", "--run-dir", "r"]
    assert dlcli("train", CONFIG, *options).code == 0
    assert dlcli("predict", "r", DATA, "-o", "p.csv").code == 0
    found = pl.read_csv("p.csv").select(f"probability_{name}" for name in LABELS).to_numpy()
    assert ((found >= 0) & (found <= 1)).all()
    assert np.unique(found.sum(axis=1)).size > 100  # not a distribution over labels
