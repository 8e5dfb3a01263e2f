"""Weights of rows through the command line: each command weighs, and repeated rows are the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.metrics import log_loss

from dlcli.config import load_config
from dlcli.data import memory_estimate
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import prepare
from dlcli.targets.task import Task
from tests.conftest import Command
from tests.data.weighted import TASKS, weighted_table, write_both
from tests.reliability.comparing import differences
from tests.training.test_engines import CPU
from tests.trials.test_stacked import check_trials, trials

LAYERS = [{"type": "dense", "units": 6, "activation": "tanh"}, {"type": "dense"}]
ONE_HOT = {"one_hot_max": 40}


def write(file: Path, name: str = "c.yaml", *, training: Any = None, **data: Any) -> Path:
    config = {
        "data": {"path": str(file), "target": "y", "split": {"column": "part"}, **ONE_HOT, **data},
        "model": {"layers": LAYERS},
        "optimizer": {"type": "adam", "lr": 0.02},
        "training": {"epochs": 4, **(training or {})},
        "report": False,
    }
    Path(name).write_text(yaml.safe_dump(config), "utf-8")
    return Path(name)


def train(dlcli: Command, config: Path, run: str, *options: str) -> str:
    outcome = dlcli("train", config, "--run-dir", run, *options)
    assert outcome.code == 0, outcome.err
    return outcome.out


def epochs_of(run: str) -> list[list[float]]:
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [
        [*line["validation"].values(), line["train"]["loss"], line["gradient_norm"]]
        for line in lines
    ]


def figures_of(run: str) -> Any:
    return json.loads(Path(run, "summary.json").read_text())["test"]


@pytest.mark.parametrize("task", TASKS)
def test_training_on_weighted_rows_is_training_on_repeated_rows(
    task: Task, tmp_path: Path, dlcli: Command
) -> None:
    weighted, repeated = write_both(task, tmp_path)
    full = {"batch_size": "full", "epochs": 12}
    said = train(dlcli, write(weighted, training=full, weight="w"), "weighted")
    assert "rows count as much as 'w' says, which is no feature (data.weight)" in said
    assert "rows left out, of weight 0 (data.weight)" in said
    train(dlcli, write(repeated, training=full), "repeated")
    for one, other in zip(epochs_of("weighted"), epochs_of("repeated"), strict=True):
        assert one == pytest.approx(other, rel=2e-3)
    found, wanted = figures_of("weighted"), figures_of("repeated")
    assert found.pop("confusion_matrix", None) == wanted.pop("confusion_matrix", None)
    assert found == pytest.approx(wanted, rel=2e-3)
    ignored = write(weighted, training=full, features=["x", "kind", "code", "ok", "day"])
    train(dlcli, ignored, "ignored")
    assert figures_of("ignored")["loss"] != pytest.approx(wanted["loss"], rel=2e-3)
    # predictions need no weights, and a file may be asked with its own or without
    weighted_table(task).drop("w", "y").write_csv("new.csv")
    assert dlcli("predict", "weighted", "new.csv", "-o", "weighted.parquet").code == 0
    assert dlcli("predict", "repeated", "new.csv", "-o", "repeated.parquet").code == 0
    columns = [
        pl.read_parquet(f"{run}.parquet").select(pl.col(pl.Float64).exclude("x"))
        for run in ("weighted", "repeated")
    ]
    assert columns[0].to_numpy() == pytest.approx(columns[1].to_numpy(), rel=5e-3, abs=1e-3)


@pytest.fixture
def weighted(tmp_path: Path) -> Path:
    return write_both("multiclass", tmp_path)[0]


def test_engines_and_resumed_runs_have_the_same_bits(weighted: Path, dlcli: Command) -> None:
    settings = {"batch_size": 9, "accumulate_batches": 2, "early_stopping": {"patience": 3}}
    config = write(weighted, training=settings, weight="w")
    for engine in ("eager", "captured"):
        train(dlcli, config, engine, "--set", f"training.engine={engine}")
    assert differences(Path("eager"), Path("captured")) == []
    train(dlcli, config, "cut", "--set", "training.epochs=2")
    train(dlcli, config, "cut", "--resume")
    assert differences(Path("captured"), Path("cut")) == []


def test_parts_of_batches_add_up(weighted: Path, dlcli: Command) -> None:
    for shards in (1, 2):
        config = write(weighted, training={"batch_size": 32, "shards": shards}, weight="w")
        train(dlcli, config, f"s{shards}")
    for one, other in zip(epochs_of("s1"), epochs_of("s2"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_streamed_rows_are_weighted_as_held_ones(weighted: Path, dlcli: Command) -> None:
    runs = {}
    for streaming in ("false", "true"):
        config = write(weighted, training={"batch_size": 1_000}, weight="w")
        train(dlcli, config, streaming, "--set", f"data.streaming={streaming}")
        runs[streaming] = epochs_of(streaming), figures_of(streaming)
        assert dlcli("evaluate", streaming, "--json").json["test"] == runs[streaming][1]
    for one, other in zip(runs["false"][0], runs["true"][0], strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("metric", ["loss", "roc_auc"])
def test_stacked_trials_are_weighted_as_single_ones(weighted: Path, metric: str) -> None:
    settings = {"batch_size": 16, "early_stopping": {"metric": metric, "patience": 9}}
    config = load_config(write(weighted, training=settings, weight="w"))
    setup = build_setup(prepare(config), CPU)
    assert check_trials(trials(setup, [{"type": "sgd"}, {"type": "adam"}])) == {"epochs": 8}


def test_runs_of_a_comparison_are_weighted(weighted: Path, dlcli: Command) -> None:
    """As scikit-learn weighs the predictions of the same network, which `train` makes."""
    config = write(weighted, weight="w")
    found = dlcli(
        *("compare-optimizers", config, "--optimizers", "sgd,adam", "--lrs", "0.02", "--json"),
        *("--seeds", "3", "--set", "compare.most_lrs=1", "--set", "training.epochs=12"),
    )
    assert found.code == 0, found.err
    result = next(result for result in found.json["optimizers"] if result["name"] == "adam")
    run = result["runs"][1]
    settings = (f"seed={run['seed']}", f"optimizer={json.dumps(result['settings'])}")
    again = [word for one in (*settings, "training.epochs=12") for word in ("--set", one)]
    train(dlcli, config, "run", *again)
    assert dlcli("predict", "run", weighted, "-o", "out.parquet").code == 0
    predicted = pl.read_parquet("out.parquet")
    differences_to_unweighted = []
    for part, figures in run["figures"].items():
        rows = predicted.filter(part=part)
        truth, weights = rows["y"].to_list(), rows["w"].cast(pl.Float64).to_numpy()
        shares = rows.select("^probability_.*$").to_numpy()
        loss = log_loss(truth, shares, sample_weight=weights)
        assert figures["loss"] == pytest.approx(loss, rel=1e-4)
        differences_to_unweighted.append(abs(log_loss(truth, shares) / loss - 1))
        right = np.average((rows["y"] == rows["prediction"]).to_numpy(), weights=weights)
        assert figures["accuracy"] == pytest.approx(right, rel=1e-6)
    assert max(differences_to_unweighted) > 5e-3


def test_a_range_test_is_weighted(weighted: Path, dlcli: Command) -> None:
    rates = []
    for settings in ({"weight": "w"}, {"keep": ["w"]}):
        found = dlcli(
            "find-lr", write(weighted, **settings), "--seeds", "1", "--steps", "60", "--json"
        )
        assert found.code == 0, found.err
        rates.append((found.json["lowest_loss_at"], found.json["falls_from"]))
    assert rates[0] != rates[1]


def survey() -> pl.DataFrame:
    """Return two groups in which few people with large weights don't do what most do."""
    random = np.random.default_rng(3)
    group = random.choice(["a", "b"], 600)
    bought = random.random(600) < np.where(group == "a", 0.8, 0.3)
    weight = np.where(bought, 1, 6)
    return pl.DataFrame({"group": group, "weight": weight, "bought": bought.astype(int)})


@pytest.mark.parametrize(("name", "streaming"), [("s.csv", False), ("s.parquet", True)])
def test_probabilities_are_shares_of_the_weight(name: str, streaming: bool, dlcli: Command) -> None:
    table = survey()
    table.write_csv(name) if name.endswith("csv") else table.write_parquet(name)
    data = {"path": name, "target": "bought", "streaming": streaming}
    config = {
        "data": data,
        "model": {"layers": [{"type": "dense"}]},
        "optimizer": {"type": "adam", "lr": 0.05},
        "training": {"epochs": 60, "batch_size": 50},
    }
    Path("c.yaml").write_text(yaml.safe_dump(config), "utf-8")
    for role in ("weight=weight", "keep=[weight]"):
        train(dlcli, Path("c.yaml"), role, "--set", f"data.{role}")
        table.drop("weight", "bought").write_csv("new.csv")
        assert dlcli("predict", role, "new.csv", "-o", "found.parquet").code == 0
        found = pl.read_parquet("found.parquet").with_columns(table["weight"], table["bought"])
        times = pl.col("weight") if role == "weight=weight" else pl.lit(1)
        shares = found.group_by("group").agg(
            pl.col("probability_1").mean(),
            share=(pl.col("bought") * times).sum() / (times + 0 * pl.col("bought")).sum(),
        )
        for group, predicted, share in shares.iter_rows():
            assert predicted == pytest.approx(share, abs=0.03), (role, group)


@pytest.mark.parametrize("memory", [None, 1_000])
def test_a_file_is_evaluated_with_its_weights_or_without(
    memory: int | None, tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighted, repeated = write_both("binary", tmp_path)
    train(dlcli, write(weighted, weight="w"), "run")
    if memory is not None:
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: memory)
    found = dlcli("evaluate", "run", weighted, "--json")
    assert "rows count as much as 'w' says (data.weight)" in found.err
    assert "22 rows left out, of weight 0 (data.weight)" in found.err
    refused = dlcli("evaluate", "run", repeated, "--json")
    assert refused.code == 3
    said = "repeated.csv: no column 'w', which says how much each row counts (data.weight); add it"
    assert f"{said}, or count each row once with --set data.weight=null" in refused.err
    once = dlcli("evaluate", "run", repeated, "--json", "--set", "data.weight=null")
    assert "each row counts once; in training, it counted as 'w' says (data.weight)" in once.err
    figures, wanted = found.json["data"], once.json["data"]
    assert figures.pop("confusion_matrix") == wanted.pop("confusion_matrix")
    assert figures == pytest.approx(wanted, rel=1e-6)
    pl.read_csv(weighted).rename({"w": "count"}).write_csv("renamed.csv")
    other = dlcli("evaluate", "run", "renamed.csv", "--json", "--set", "data.weight=count")
    assert other.json == found.json
    for name, what in (("x", "feature"), ("y", "target")):
        wrong = dlcli("evaluate", "run", weighted, "--set", f"data.weight={name}")
        assert (wrong.code, f"'{name}' is a {what} of this run" in wrong.err) == (2, True)


def test_init_notes_a_column_that_is_named_like_a_weight(dlcli: Command) -> None:
    table = weighted_table("binary").drop("part").rename({"w": "sample_weight"})
    for constant in ([], [pl.lit(7).alias("always")]):
        table = table.with_columns(constant)
        table.write_csv("t.csv")
        Path("c.yaml").unlink(missing_ok=True)
        outcome = dlcli("init", "--effort", "quick", "t.csv", "--target", "y", "-o", "c.yaml")
        said = " ".join(outcome.err.split())
        assert "'sample_weight' is named like a weight: if it says how much each row" in said
        also = " and take it out of data.features" if constant else ""
        assert f"set data.weight: sample_weight{also}; it is no feature then" in said
        config = yaml.safe_load(Path("c.yaml").read_text())
        config["data"]["weight"] = "sample_weight"
        if constant:
            config["data"]["features"].remove("sample_weight")
        Path("c.yaml").write_text(yaml.safe_dump(config))
        out = dlcli("validate", "c.yaml").out
        assert "rows count as much as 'sample_weight' says, which is no feature" in out
        assert "numeric: sample_weight" not in out
