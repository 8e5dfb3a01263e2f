"""`dlcli train --folds`: the ensemble that it leaves, and every command that takes it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dlcli.cli.app import run as run_dlcli
from dlcli.config import load_config
from dlcli.data.stream import drain
from dlcli.runs.folds.preparation import preparing_folds
from dlcli.runs.folds.train import train_folds
from dlcli.runs.predict import trained_predictor
from dlcli.runs.restore import restore
from dlcli.tables.reading import read_table
from dlcli.tables.sources import find_source
from dlcli.trials.running.executor import TrialFinished
from tests.conftest import Command

CONFIG = """
name: made
data: {path: t.csv, target: y, split: {validation: 0.2, test: 0.25}}
model: {layers: [{type: dense, units: 4, activation: tanh}, {type: dense}]}
training: {epochs: 3, batch_size: 8, device: cpu, threads: 1}
folds: {folds: 3, repeats: 2}
"""
QUICK = ("--set", "report=quick")


def write(folder: Path, num_rows: int = 81, config: str = CONFIG, **columns: Any) -> Path:
    random = np.random.default_rng(11)
    x = random.normal(size=(num_rows, 2)).round(4)
    frame = pl.DataFrame(
        {
            "a": x[:, 0],
            "b": x[:, 1],
            "c": [("u", "v", "w")[row % 3] for row in range(num_rows)],
            "y": np.where(x[:, 0] > x[:, 1], "yes", "no"),
        }
    )
    frame.with_columns(**columns).write_csv(folder / "t.csv")
    (folder / "c.yaml").write_text(config)
    return folder / "c.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, its data, and its finished run."""
    folder = tmp_path_factory.mktemp("folds")
    run = ["--run-dir", str(folder / "run")]
    assert run_dlcli(["train", str(write(folder)), *run]) == 0
    return folder


def summary_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def test_each_fold_of_each_repeat_is_a_network_of_the_ensemble(made: Path) -> None:
    ensemble = json.loads((made / "run" / "ensemble.json").read_text())
    assert [member["weight"] for member in ensemble["members"]] == pytest.approx([1 / 6] * 6)
    networks = summary_of(made / "run")["folds"]["networks"]
    assert [(one["repeat"], one["fold"]) for one in networks] == [
        (repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)
    ]
    assert len({one["seed"] for one in networks}) == 6
    held_out = pl.read_parquet(made / "run" / "out_of_fold.parquet")
    rows = summary_of(made / "run")["rows"]
    assert (len(held_out), rows["train"], rows["validation"]) == (61, 61, 61)
    assert held_out["place"].n_unique() == 61
    assert sorted(held_out["fold"].unique()) == [1, 2, 3]
    for name in ("report.html", "metrics.jsonl", "config.yaml"):
        assert (made / "run" / name).exists()


def test_the_prediction_is_the_mean_of_the_networks(made: Path, dlcli: Command) -> None:
    outcome = dlcli("predict", made / "run", made / "t.csv", "-o", "p.csv")
    assert outcome.code == 0, outcome.err
    found = pl.read_csv("p.csv")["probability_yes"].to_numpy()
    table = read_table(find_source(str(made / "t.csv")))
    each = [
        trained_predictor(path).predict(table).frame["probability_yes"].to_numpy()
        for path in sorted((made / "run" / "members").glob("*.safetensors"))
    ]
    assert np.allclose(found, np.mean(each, axis=0), atol=1e-12)


def test_evaluate_gives_the_figures_of_training(made: Path, dlcli: Command) -> None:
    summary = summary_of(made / "run")
    found = dlcli("evaluate", made / "run", "--json").json
    assert found["validation"] == summary["validation"]
    assert found["test"] == summary["test"]
    whole = dlcli("evaluate", made / "run", made / "t.csv", "--json").json["data"]
    assert np.sum(whole["confusion_matrix"]) == 81


def test_the_out_of_fold_figures_are_those_of_the_predictions(made: Path) -> None:
    summary = summary_of(made / "run")
    held_out = pl.read_parquet(made / "run" / "out_of_fold.parquet")
    right = (held_out["prediction"] == held_out["truth"]).mean()
    assert summary["validation"]["accuracy"] == pytest.approx(right)
    truth = held_out["truth"].to_list()
    chances = [
        row[f"probability_{one}"]
        for row, one in zip(held_out.iter_rows(named=True), truth, strict=True)
    ]
    assert summary["validation"]["loss"] == pytest.approx(-np.log(chances).mean(), rel=1e-6)
    interval = summary["intervals"]["validation"]["loss"]
    assert interval["low"] < interval["value"] < interval["high"]


def test_no_network_has_seen_the_rows_that_it_predicts_out_of_fold(made: Path) -> None:
    network = summary_of(made / "run")["folds"]["networks"][0]
    held_out = pl.read_parquet(made / "run" / "out_of_fold.parquet")
    assert (held_out["fold"] == 1).sum() == network["rows"]["validation"]
    fitted = restore(made / "run" / network["file"]).fitted
    assert sum(fitted.target.class_counts) == network["rows"]["train"]
    assert network["rows"]["train"] + network["rows"]["validation"] == 61


def test_report_writes_the_page_and_shows_the_figures(made: Path, dlcli: Command) -> None:
    (made / "run" / "report.html").unlink()
    outcome = dlcli("report", made / "run")
    assert outcome.code == 0, outcome.err
    page = (made / "run" / "report.html").read_text()
    for words in ("6 networks of 3 folds, 2 times, averaged", "one repeat", "Confusion matrix"):
        assert words in page
    text = dlcli("report", made / "run", "--text")
    assert "6 networks trained" in text.out
    assert "out of fold" in text.out


@pytest.mark.parametrize("num_before", [0, 1, 4])
def test_an_interrupted_run_ends_with_the_same_bits(
    num_before: int, made: Path, tmp_path: Path, dlcli: Command
) -> None:
    config = shutil.copy(made / "c.yaml", tmp_path)
    shutil.copy(made / "t.csv", tmp_path)
    folds = drain(preparing_folds(load_config(Path(config))))
    run, num_finished = tmp_path / "run", 0
    for event in train_folds(folds, run_dir=run):
        num_finished += isinstance(event, TrialFinished)
        if num_finished >= num_before:
            break  # a killed process leaves no more than this
    assert not (run / "ensemble.json").exists()
    incomplete = dlcli("predict", run, made / "t.csv", "-o", "p.csv")
    assert "not all of its folds are done; resume it: dlcli train" in incomplete.err
    outcome = dlcli("train", run / "config.yaml", "--run-dir", run, "--resume", *QUICK)
    assert outcome.code == 0, outcome.err
    for name in ("ensemble.json", "out_of_fold.parquet", "metrics.jsonl"):
        assert (run / name).read_bytes() == (made / "run" / name).read_bytes(), name
    for key in ("validation", "test", "folds", "intervals"):
        assert summary_of(run)[key] == summary_of(made / "run")[key]


def test_a_damaged_network_is_named_and_trained_anew(
    made: Path, tmp_path: Path, dlcli: Command
) -> None:
    for name in ("c.yaml", "t.csv"):
        shutil.copy(made / name, tmp_path)
    run = Path(shutil.copytree(made / "run", tmp_path / "run"))
    path = run / "members" / "002.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    outcome = dlcli("evaluate", run)
    assert outcome.code == 4
    assert "002.safetensors: a network of the ensemble is not what was written" in outcome.err
    path.unlink()
    (run / "ensemble.json").unlink()
    assert dlcli("train", run / "config.yaml", "--run-dir", run, "--resume", *QUICK).code == 0
    assert (run / "ensemble.json").read_bytes() == (made / "run" / "ensemble.json").read_bytes()


def test_greedy_weights_are_of_repeats(tmp_path: Path, dlcli: Command) -> None:
    config = write(tmp_path, config=CONFIG.replace("repeats: 2", "repeats: 2, weights: greedy"))
    outcome = dlcli("train", config, "--run-dir", "run", "--json")
    assert outcome.code == 0, outcome.err
    weights = [one["weight"] for one in outcome.json["folds"]["networks"]]
    assert sum(weights) == pytest.approx(1)
    assert len({*weights[:3]}) == len({*weights[3:]}) == 1
    alone = dlcli("train", config, "--folds", 3, "--repeats", 1)
    assert alone.code == 2
    assert "`weights: greedy` weighs repeats, and there is one: set `repeats` to 2" in alone.err


def test_numbers_weights_groups_and_options(tmp_path: Path, dlcli: Command) -> None:
    config = write(
        tmp_path,
        y=pl.col("a") * 3 + 10,
        g=pl.int_range(pl.len()) // 4,
        w=1 + pl.int_range(pl.len()) % 2,
        config=CONFIG.replace("folds: {folds: 3, repeats: 2}", "").replace(
            "split: {validation: 0.2, test: 0.25}", "split: {group: g, test: 0.25}, weight: w"
        ),
    )
    outcome = dlcli(
        *("train", config, "--folds", 4, "--run-dir", "run", "--json"),
        *("--assert", "validation.rmse < 100", "--assert", "test.rmse < 100"),
    )
    assert outcome.code == 0, outcome.err
    assert "each 'g' is held out as a whole" in outcome.err
    held_out = pl.read_parquet("run/out_of_fold.parquet")
    counts = 1 + held_out["place"].str.extract(r"(\d+)").cast(pl.Int64).to_numpy() % 2
    errors = (held_out["prediction"] - held_out["truth"].cast(pl.Float64)).to_numpy()
    loss = np.average(errors**2, weights=counts)
    assert outcome.json["validation"]["loss"] == pytest.approx(loss, rel=1e-5)
    assert dlcli("evaluate", "run", "--json").json["test"] == outcome.json["test"]


def test_a_smoke_run_leaves_nothing(made: Path, dlcli: Command) -> None:
    outcome = dlcli("train", made / "c.yaml", "--smoke")
    assert outcome.code == 0, outcome.err
    assert "every stage ran; nothing was left behind" in outcome.out
    assert not Path("runs").exists()


REFUSED = {
    "too few rows": ((), ("--folds", 50), 3, "too few for 50 folds, which hold out at least 2"),
    "one fold": ((), ("--folds", 1), 2, "--folds 1: folds.folds: must be at least 2"),
    "processes": ((), ("--processes", 2), 2, "c.yaml:6:1: folds: the cores of one machine train"),
    "restarts": ((), ("--restarts", 1), 2, "--resume does what is missing"),
    "weights of a run": (
        ("model.start_from=other",),
        (),
        2,
        "model.start_from: folds can't begin with the weights of a run",
    ),
    "streamed": (("data.streaming=true",), (), 2, "folds need the rows in memory"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_folds_cannot_be_is_refused(name: str, made: Path, dlcli: Command) -> None:
    settings, options, code, message = REFUSED[name]
    sets = [word for setting in settings for word in ("--set", setting)]
    outcome = dlcli("train", made / "c.yaml", *sets, *options)
    assert outcome.code == code, outcome.err
    assert message in " ".join(outcome.err.split())
    assert not Path("runs").exists()


def test_validate_finds_what_folds_lack(made: Path, dlcli: Command) -> None:
    assert dlcli("validate", made / "c.yaml").code == 0
    outcome = dlcli("validate", made / "c.yaml", "--set", "folds=40")
    assert outcome.code == 3
    assert "take at most 30 folds" in outcome.err
    assert dlcli("validate", made / "c.yaml", "--set", "folds=30").code == 0


def test_other_data_and_other_folds_are_not_resumed(
    made: Path, tmp_path: Path, dlcli: Command
) -> None:
    for name in ("c.yaml", "t.csv"):
        shutil.copy(made / name, tmp_path)
    run = Path(shutil.copytree(made / "run", tmp_path / "run"))
    resume = ("train", tmp_path / "c.yaml", "--run-dir", run, "--resume")
    outcome = dlcli(*resume, "--folds", 4)
    assert outcome.code == 2
    assert "folds.folds: 3 then, 4 now" in outcome.err
    plain = dlcli(*resume, "--set", "folds=null")
    assert plain.code == 4
    assert "the folder of an ensemble" in plain.err
