"""`training.max_seconds`: training ends as by early stopping when the time is used up."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command

MOONS = ROOT / "configs" / "moons.yaml"
FOREVER = ["--set", "training.epochs=1000000", "--set", "training.early_stopping=null"]
FOREVER += ["--set", "schedule=constant"]


def test_a_run_out_of_time_is_a_finished_one_that_can_go_on(dlcli: Command) -> None:
    limit = ["--set", "training.max_seconds=0.5s"]
    holds = ["--set", "report=false", "--json", "--assert", "test.accuracy >= 0.2"]
    outcome = dlcli("train", MOONS, *FOREVER, *limit, *holds, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    summary = json.loads(outcome.out)
    assert summary["stop_reason"] == "time"
    assert summary["test"]["accuracy"] > 0.2
    assert summary["epochs"] > 0
    assert "time used up (training.max_seconds) after epoch" in outcome.err
    assert "of 1000000; best epoch:" in outcome.err
    assert "resume: dlcli train run/config.yaml --run-dir run --resume" in outcome.err
    shorter = ["--set", "training.max_seconds=0.2", "--set", "report=false", "--json"]
    resumed = dlcli("train", "run/config.yaml", "--run-dir", "run", "--resume", *shorter)
    assert resumed.code == 0, resumed.err
    again = json.loads(resumed.out)
    assert (again["stop_reason"], again["epochs"] > summary["epochs"]) == ("time", True)


def test_an_assertion_that_fails_has_its_exit_code_out_of_time_too(dlcli: Command) -> None:
    limit = ["--set", "training.max_seconds=0.05", "--set", "report=false"]
    outcome = dlcli("train", MOONS, *FOREVER, *limit, "--assert", "test.accuracy >= 2")
    assert outcome.code == 8


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_before_an_epoch_is_done_the_weights_of_now_are_judged(
    streaming: str, dlcli: Command
) -> None:
    limit = ["--set", "training.max_seconds=0.000001", "--set", f"data.streaming={streaming}"]
    outcome = dlcli("train", MOONS, *FOREVER, *limit, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    assert "no epoch was finished" in outcome.out
    summary = json.loads(Path("run/summary.json").read_text())
    assert (summary["best_epoch"], summary["epochs"], summary["stop_reason"]) == (0, 0, "time")
    assert summary["test"] is not None


def test_a_comparison_says_that_it_does_not_look_at_the_time(dlcli: Command) -> None:
    few = ["--optimizers", "sgd,adam", "--lrs", "0.1", "--seeds", "2", "--set", "training.epochs=1"]
    outcome = dlcli("compare-optimizers", MOONS, *few, "--set", "training.max_seconds=1h")
    assert outcome.code == 0, outcome.err
    assert "training.max_seconds does nothing here" in outcome.out


def test_a_smoke_test_runs_every_stage_whatever_the_time(dlcli: Command) -> None:
    outcome = dlcli("train", MOONS, "--smoke", "--set", "training.max_seconds=0.000001")
    assert outcome.code == 0, outcome.err
    assert "all epochs done" in outcome.out
