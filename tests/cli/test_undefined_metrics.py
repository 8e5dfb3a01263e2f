"""A metric without a value on the validation rows is not what a run is judged by."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, WriteConfig

SPLIT = {"split": {"column": "part"}}
PARTS = ["train"] * 24 + ["validation"] * 12 + ["test"] * 12


def write_table(validation: list[str], train: list[str], test: list[str] | None = None) -> Path:
    """Write a table whose parts have the targets named, in turn."""
    targets = {"train": train, "validation": validation, "test": test or train}
    rows = [
        f"{row * 7 % 11},{part},{targets[part][row % len(targets[part])]}"
        for row, part in enumerate(PARTS)
    ]
    path = Path("t.csv")
    path.write_text("\n".join(["x,part,y", *rows]) + "\n")
    return path


def watching(metric: str) -> dict[str, Any]:
    return {"epochs": 3, "early_stopping": {"patience": 2, "metric": metric}}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("metric", "validation", "train", "reason", "others"),
    [
        ("roc_auc", ["1"], ["0", "1"], "none of them is of class '0'", "loss, accuracy"),
        ("roc_auc", ["b", "c"], ["a", "b", "c"], "none of them is of class 'a'", "loss, accuracy"),
        (
            "roc_auc",
            ["c"],
            ["a", "b", "c"],
            "none of them is of class 'a' and 1 other class;",
            "loss",
        ),
        ("r2", ["2.5"], ["1.5", "2.5", "7"], "the target is 2.5 in all of them", "loss, rmse, mae"),
        (  # equal once the target is scaled and rounded to float32
            "r2",
            ["1000000.5", "1000000.50001"],
            ["1000000.5", "1000000.7", "1000000.1", "-1e9"],
            "the target is 1e+06 in all of them",
            "loss, rmse, mae",
        ),
    ],
)
def test_early_stopping_on_it_is_refused_before_training(
    metric: str,
    validation: list[str],
    train: list[str],
    reason: str,
    others: str,
    streaming: bool,
    dlcli: Command,
    write_config: WriteConfig,
) -> None:
    path = write_table(validation, train)
    data = {**SPLIT, "streaming": streaming}
    config = write_config(path, "y", data=data, training=watching(metric))
    for command in (["validate", config], ["train", config, "--run-dir", "run"])[streaming:]:
        outcome = dlcli(*command)
        assert outcome.code == 2
        told = f"training.early_stopping.metric: {metric} has no value on the validation rows: "
        assert told + reason in outcome.err
        assert f"monitor another metric ({others}" in outcome.err
        assert "or hold out other rows (data.split)" in outcome.err
    assert not Path("run").exists()
    outcome = dlcli("validate", config, "--set", "training.early_stopping.metric=loss")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("metric", "validation", "train"),
    [("roc_auc", ["b", "c"], ["a", "b", "c"]), ("r2", ["2.5"], ["1.5", "2.5", "7"])],
)
def test_watched_by_its_loss_such_a_run_keeps_the_epoch_with_the_lowest(
    metric: str, validation: list[str], train: list[str], dlcli: Command, write_config: WriteConfig
) -> None:
    stopping = {"epochs": 60, "early_stopping": {"patience": 4, "metric": "loss"}}
    optimizer = {"type": "adam", "lr": 0.1}
    path = write_table(validation, train)
    config = write_config(path, "y", data=SPLIT, training=stopping, optimizer=optimizer)
    assert dlcli("train", config, "--run-dir", "run").code == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    figures = [json.loads(line)["validation"] for line in lines]
    losses = [figure["loss"] for figure in figures]
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["best_epoch"] == losses.index(min(losses)) + 1 > 1
    assert summary["validation"]["loss"] == pytest.approx(min(losses))
    assert summary["validation"][metric] is None
    waited = len(losses) - summary["best_epoch"]
    assert waited == 4 if summary["stop_reason"] == "early_stopping" else waited < 4


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_random_split_may_leave_rare_rows_to_other_parts(
    task: str, dlcli: Command, write_config: WriteConfig
) -> None:
    rows = [
        f"{row % 9},{int(row < 2) if task == 'binary' else 5 if row > 8 else row}"
        for row in range(90)
    ]
    Path("t.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    metric = "roc_auc" if task == "binary" else "r2"
    data = {"task": task, "split": {"validation": 0.06, "seed": 1}}
    config = write_config("t.csv", "y", data=data, training=watching(metric))
    outcome = dlcli("validate", config)
    assert outcome.code == 2, outcome.out
    assert f"{metric} has no value on the validation rows" in outcome.err


@pytest.mark.parametrize("streaming", [False, True])
def test_it_is_watched_where_all_classes_are_there(
    streaming: bool, dlcli: Command, write_config: WriteConfig
) -> None:
    path = write_table(["0", "1"], ["0", "1"])
    data = {**SPLIT, "streaming": streaming}
    config = write_config(path, "y", data=data, training=watching("roc_auc"))
    assert dlcli("train", config, "--run-dir", "run").code == 0
    assert json.loads(Path("run/summary.json").read_text())["watched"] == "roc_auc"


@pytest.mark.parametrize("part", ["validation", "test"])
def test_an_assertion_on_it_is_refused_before_training(
    part: str, dlcli: Command, write_config: WriteConfig
) -> None:
    few, both = ["1"], ["0", "1"]
    path = write_table(few, both) if part == "validation" else write_table(both, both, few)
    config = write_config(path, "y", data=SPLIT)
    outcome = dlcli("train", config, "--run-dir", "run", "--assert", f"{part}.roc_auc > 0.5")
    assert outcome.code == 2
    told = f"--assert: {part}.roc_auc has no value on the {part} rows: none of them is of class '0'"
    assert told in outcome.err
    assert not Path("run").exists()
    outcome = dlcli("train", config, "--run-dir", "run", "--assert", f"{part}.accuracy > -1")
    assert outcome.code == 0, outcome.err


def test_where_it_shows_only_during_training_the_loss_is_watched_and_that_is_said(
    dlcli: Command, write_config: WriteConfig
) -> None:
    """The few rows of a smoke run lack the rare class that all of the rows have."""
    rows = [
        f"{row % 11},{'validation' if row % 2 else 'train'},{'abc'[row % 3]}" for row in range(800)
    ]
    rows += ["1,validation,rare", "2,train,rare"] * 2 + ["5,train,a"] * 60
    rows += ["5,validation,b"] * 60
    path = Path("t.csv")
    path.write_text("\n".join(["x,part,y", *rows]) + "\n")
    training = {**watching("roc_auc"), "batch_size": 4}
    config = write_config(path, "y", data=SPLIT, training=training)
    assert dlcli("validate", config).code == 0
    outcome = dlcli("train", config, "--smoke", "--json")
    assert outcome.code == 0, outcome.err
    told = "roc_auc has no value on the validation rows: their loss is watched instead"
    assert outcome.err.count(told) == 1
    assert outcome.json["watched"] == "loss"


@pytest.mark.parametrize("command", ["compare-optimizers", "find-lr"])
def test_nothing_is_compared_by_a_metric_without_a_value(
    command: str, dlcli: Command, write_config: WriteConfig
) -> None:
    path = write_table(["b", "c"], ["a", "b", "c"])
    config = write_config(path, "y", data=SPLIT, training=watching("roc_auc"))
    outcome = dlcli(command, config)
    assert outcome.code == 2
    assert "roc_auc has no value on the validation rows: none of them is of class" in outcome.err
