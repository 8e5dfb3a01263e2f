"""`dlcli compare-optimizers`, through the command line."""

import html
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from tests.browser import CHROMIUM, look_at
from tests.conftest import ROOT, Command, Outcome, WriteConfig

MOONS = ROOT / "configs" / "moons.yaml"
QUICK = [
    *("--set", "training.epochs=3", "--set", "compare.tuning_seeds=2"),
    *("--optimizers", "sgd,adam", "--lrs", "0.01,0.1", "--seeds", "3"),
    *("--set", "compare.most_lrs=2"),
]


def compare(dlcli: Command, *options: object, config: Path = MOONS) -> Outcome:
    return dlcli("compare-optimizers", config, *QUICK, *options)


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a machine takes another time for."""
    for result in document["optimizers"]:
        result["seconds_a_step"] = result["to_target"]["seconds"] = 0.0
    return document


def test_a_comparison_leaves_results_curves_a_page_and_a_config(dlcli: Command) -> None:
    outcome = compare(dlcli, "--json")
    assert outcome.code == 0, outcome.err
    folder = Path("runs/moons/001")
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.html",
        "comparison.json",
        "config.yaml",
        "curves.parquet",
        "recommended.yaml",
        "runs.jsonl",
        "stacks.jsonl",
    ]
    if CHROMIUM:
        seen = look_at(folder / "comparison.html")
        assert (seen.messages, seen.requests, seen.flaws) == ([], [], [])
    document = json.loads((folder / "comparison.json").read_text())
    assert outcome.json == {**document, "run_dir": str(folder)}
    assert {result["name"] for result in document["optimizers"]} == {"sgd", "adam"}
    assert "cost 14 runs; at most 798 steps" in outcome.err
    assert "choosing rates: 8 runs" in outcome.err
    assert document["verdict"]["text"] in " ".join(outcome.err.split())
    curves = pl.read_parquet(folder / "curves.parquet")
    assert len(curves) == (8 + 6) * 3
    for result in document["optimizers"]:
        [best] = [grid for grid in result["grid"] if grid["lr"] == result["lr"]]
        others = [sorted(grid["losses"])[1] for grid in result["grid"]]
        assert sorted(best["losses"])[1] == min(others)
        judged = curves.filter(optimizer=result["name"], stage="judging")
        lowest = judged.group_by("seed").agg(pl.col("validation_loss").min()).sort("seed")
        assert lowest["seed"].to_list() == [run["seed"] for run in result["runs"]]
        losses = [run["best_validation_loss"] for run in result["runs"]]
        assert lowest["validation_loss"].to_list() == losses
        assert result["figures"]["validation"]["loss"]["mean"] == pytest.approx(np.mean(losses))
        assert 0 < result["figures"]["test"]["accuracy"]["mean"] <= 1


def test_each_run_is_what_dlcli_train_does_on_its_seed(dlcli: Command) -> None:
    document = compare(dlcli, "--json").json
    for result in document["optimizers"]:
        run = result["runs"][1]
        same = ["--set", f"seed={run['seed']}", "--set", "data.split.seed=0"]
        optimizer = ["--set", f"optimizer={json.dumps(result['settings'])}"]
        epochs = ["--set", "training.epochs=3"]
        summary = dlcli("train", MOONS, *same, *optimizer, *epochs, "--json").json
        assert summary["best_epoch"] == run["best_epoch"]
        for part in ("validation", "test"):
            for figure in ("loss", "accuracy"):
                expected = pytest.approx(summary[part][figure], rel=1e-4)
                assert run["figures"][part][figure] == expected


def test_the_recommended_config_trains_with_what_was_chosen(dlcli: Command) -> None:
    document = compare(dlcli, "--json", "--run-dir", "c").json
    best = document["verdict"]["best"]
    recommended = Path("c/recommended.yaml")
    assert recommended.read_text().startswith(f"# {document['verdict']['text']}\n")
    config = yaml.safe_load(recommended.read_text())
    [result] = [result for result in document["optimizers"] if result["name"] == best]
    assert config["optimizer"] == result["settings"]
    assert config["name"] == f"moons-{best}"
    assert dlcli("train", recommended, "--smoke").code == 0


def test_the_page_says_how_to_make_the_full_one(dlcli: Command) -> None:
    assert compare(dlcli, "--run-dir", "run with spaces").code == 0
    folder = Path("run with spaces")
    page = (folder / "comparison.html").read_text()
    assert "Optimizer paths" not in page
    [command] = re.findall(r"dlcli compare-optimizers .*report=full", html.unescape(page))
    runs = (folder / "runs.jsonl").read_text()
    outcome = dlcli(*shlex.split(command)[1:])
    assert outcome.code == 0, outcome.err
    assert (folder / "runs.jsonl").read_text() == runs
    assert "Optimizer paths" in (folder / "comparison.html").read_text()
    assert {path.name for path in folder.iterdir() if path.suffix in (".png", ".svg")} == {
        f"{name}.{kind}"
        for name in (
            "differences",
            "landscape-paths",
            "loss-against-epochs",
            "loss-against-learning-rate",
            "loss-against-seconds",
        )
        for kind in ("png", "svg")
    }


def test_no_finished_run_is_done_again(dlcli: Command) -> None:
    whole = compare(dlcli, "--json", "--run-dir", "whole", "--set", "report=false").json
    assert not Path("whole/comparison.html").exists()
    lines = Path("whole/runs.jsonl").read_bytes().splitlines(keepends=True)
    Path("cut").mkdir()
    Path("cut/config.yaml").write_bytes(Path("whole/config.yaml").read_bytes())
    # As a kill in the middle of writing a run's line leaves it.
    Path("cut/runs.jsonl").write_bytes(b"".join(lines[:10]) + lines[10][:40])
    stacks = Path("whole/stacks.jsonl").read_bytes()
    Path("cut/stacks.jsonl").write_bytes(stacks)
    resumed = dlcli(
        *("compare-optimizers", "cut/config.yaml", "--run-dir", "cut", "--resume", "--json")
    )
    assert resumed.code == 0, resumed.err
    assert "cost 5 runs, 9 finished before" in resumed.err
    again = Path("cut/runs.jsonl").read_bytes().splitlines(keepends=True)
    assert again[:10] == lines[:10]
    assert len(again) == len(lines) == 15
    assert Path("cut/stacks.jsonl").read_bytes() == stacks
    del whole["run_dir"]
    found = without_times(resumed.json)
    assert found["optimizers"] == without_times(whole)["optimizers"]  # to the last bit
    assert found["verdict"] == whole["verdict"]


def test_a_damaged_list_of_stacks_is_refused_with_the_way_on(dlcli: Command) -> None:
    compare(dlcli, "--run-dir", "c")
    stacks = Path("c/stacks.jsonl")
    stacks.write_text('{"trials": [{"seed"\n' + stacks.read_text())
    damaged = compare(dlcli, "--run-dir", "c", "--resume")
    assert (damaged.code, "line 1 is damaged; remove it" in damaged.err) == (4, True)
    stacks.write_text("".join(stacks.read_text().splitlines(keepends=True)[1:]))
    assert compare(dlcli, "--run-dir", "c", "--resume").code == 0


def test_runs_as_optimizers_and_seeds_are_still_read(dlcli: Command) -> None:
    """So they stood in runs.jsonl before there were trials."""
    whole = compare(dlcli, "--json", "--run-dir", "c").json
    header, *lines = Path("c/runs.jsonl").read_text().splitlines()
    old = []
    for line in map(json.loads, lines):
        trial = line.pop("trial")
        [optimizer] = trial["changes"].values()
        optimizer["lr"] = float(optimizer["lr"])
        old.append(json.dumps({"optimizer": optimizer, "seed": trial["seed"], **line}))
    Path("c/runs.jsonl").write_text("\n".join([header, *old]) + "\n")
    resumed = compare(dlcli, "--json", "--run-dir", "c", "--resume")
    assert "cost 0 runs, 14 finished before" in resumed.err
    assert resumed.json == whole
    assert len(Path("c/runs.jsonl").read_text().splitlines()) == 15
    damaged_line = old[0].replace('"seed"', '"sede"')
    Path("c/runs.jsonl").write_text(f"{header}\n{damaged_line}\n")
    damaged = compare(dlcli, "--run-dir", "c", "--resume")
    assert (damaged.code, "line 2 is damaged: seed: Field required" in damaged.err) == (4, True)


def test_more_seeds_and_other_optimizers_join_what_is_done(dlcli: Command) -> None:
    compare(dlcli, "--run-dir", "c")
    more = compare(
        dlcli, "--run-dir", "c", "--resume", "--optimizers", "sgd,adam,adagrad", "--seeds", "4"
    )
    assert more.code == 0, more.err
    assert "cost 10 runs, 14 finished before" in more.out
    assert "changed: compare.seeds: 3 then, 4 now" in more.out
    runs = Path("c/runs.jsonl").read_text().splitlines()
    assert len(runs) == 1 + 14 + 4 + 2 + 4


def test_another_problem_is_refused_with_what_differs(dlcli: Command) -> None:
    compare(dlcli, "--run-dir", "c")
    other = compare(dlcli, "--run-dir", "c", "--resume", "--set", "training.batch_size=7")
    assert other.code == 2
    assert "training.batch_size: 32 then, 7 now" in other.err
    again = compare(dlcli, "--run-dir", "c")
    assert (again.code, "is not empty" in again.err) == (2, True)
    train = dlcli("train", "c/config.yaml", "--run-dir", "c", "--resume")
    assert (train.code, "the folder of a comparison" in train.err) == (4, True)


def test_a_damaged_line_is_named(dlcli: Command) -> None:
    compare(dlcli, "--run-dir", "c")
    lines = Path("c/runs.jsonl").read_text().splitlines()
    lines[4] = lines[4].replace('"seed"', '"sede"')
    Path("c/runs.jsonl").write_text("\n".join(lines) + "\n")
    outcome = compare(dlcli, "--run-dir", "c", "--resume")
    assert outcome.code == 4
    assert "c/runs.jsonl: line 5 is damaged: trial.seed: Field required; remove it" in outcome.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_finished(number: int, code: int, program: list[str]) -> None:
    long = ["--set", "training.epochs=100000", "--set", "training.early_stopping=null"]
    process = subprocess.Popen(
        [
            *(*program, "compare-optimizers", str(MOONS), *QUICK, *long),
            *("--lrs", "0.01,1e30", "--run-dir", "c", "--json"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    runs = Path("c/runs.jsonl")
    while not runs.exists() or len(runs.read_text().splitlines()) < 3:  # some diverge at once
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    kept = len(runs.read_text().splitlines()) - 1
    stopped = {"stop_reason": "sigint" if code == 130 else "sigterm", "finished_runs": kept}
    assert json.loads(out) == {**stopped, "run_dir": "c"}


def test_several_configs_give_profiles(dlcli: Command) -> None:
    grade = ROOT / "configs" / "final_grade.yaml"
    outcome = compare(dlcli, grade, "--run-dir", "both", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(Path("both/comparison.json").read_text())
    assert outcome.json == {**document, "run_dir": "both"}
    assert document["problems"] == ["moons", "final_grade"]
    for name in document["problems"]:
        document_of_one = json.loads(Path(f"both/{name}/comparison.json").read_text())
        for optimizer in document_of_one["optimizers"]:
            [found] = [row for row in document["optimizers"] if row["name"] == optimizer["name"]]
            place = document["problems"].index(name)
            assert found["seconds_to_target"][place] == optimizer["to_target"]["seconds"]
    page = Path("both/comparison.html").read_text()
    assert not [*Path("both").glob("*.svg")]
    assert "Optimizers compared on several problems" in page
    again = compare(dlcli, grade, "--run-dir", "both", "--resume", "--json")
    assert again.code == 0, again.err
    assert again.json == outcome.json


def test_configs_of_one_name_or_with_other_optimizers_are_refused(dlcli: Command) -> None:
    twice = compare(dlcli, MOONS)
    assert (twice.code, "two of the configs are named 'moons'" in twice.err) == (2, True)
    text = MOONS.read_text().replace("../data", str(ROOT / "data"))
    Path("other.yaml").write_text(text + "compare: {optimizers: [sgd, nadam]}\n")
    unlike = dlcli("compare-optimizers", MOONS, "other.yaml")
    assert unlike.code == 2
    assert "'other' sgd, nadam: name the same for all" in unlike.err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--optimizers", "sgd,adm"], 2, "unknown optimizer 'adm'; did you mean 'adam'?"),
        (["--optimizers", "adam"], 2, "adam can't be compared with anything; name at least two"),
        (["--optimizers", ""], 2, "unknown optimizer ''; known: sgd, momentum, nesterov"),
        (["--seeds", "1"], 2, "--seeds 1: compare.seeds: must be at least 2: one run doesn't show"),
        (["--seeds", "many"], 2, "--seeds many: compare.seeds: must be a whole number"),
        (["--lrs", "0,0.1"], 2, "--lrs 0,0.1: compare.lrs[0]: must be above 0, not 0"),
        (["--lrs", "fast"], 2, "--lrs fast: compare.lrs[0]: must be a number, not 'fast'"),
        (["--target", "-1"], 2, "--target -1: compare.target: must be above 0, not -1"),
        (
            ["--set", "data.split.validation=0", "--set", "training.early_stopping=null"],
            2,
            "data.split: there are no validation rows to choose rates and judge",
        ),
        (["--set", "data.streaming=true"], 2, "data.streaming: many runs at once need their rows"),
        (["--lrs", "1e33,1e34"], 5, "every optimizer diverged, at rates from 1e+33 to 1e+34"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_compared_is_told(
    options: list[str], code: int, message: str, dlcli: Command
) -> None:
    grade = ROOT / "configs" / "final_grade.yaml"
    outcome = compare(dlcli, *options, "--run-dir", "c", config=grade)
    assert outcome.code == code
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert Path("c").exists() == (code == 5)  # what was done is kept


def test_a_folder_to_go_on_with_is_named(dlcli: Command) -> None:
    nameless = compare(dlcli, "--resume")
    assert (nameless.code, "to resume: --run-dir DIR" in nameless.err) == (2, True)
    assert dlcli("train", MOONS, "--run-dir", "r", "--set", "training.epochs=1").code == 0
    other = compare(dlcli, "--run-dir", "r", "--resume")
    assert (other.code, "no comparison to resume" in other.err) == (4, True)


def test_a_target_that_nobody_reaches_is_a_miss_of_all(dlcli: Command) -> None:
    outcome = compare(dlcli, "--target", "1e-9", "--json")
    assert outcome.code == 0
    assert (
        "No run reached the target, a validation loss of 1e-09" in outcome.json["verdict"]["text"]
    )
    for result in outcome.json["optimizers"]:
        to_target = result["to_target"]
        assert to_target == {
            **dict.fromkeys(("epochs", "steps", "seconds")),
            "missed": 3,
            "of": 3,
        }


def test_a_planted_truth_is_found(dlcli: Command, write_config: WriteConfig) -> None:
    """Gradient descent's rate is bounded by the steepest direction; Adam scales each by itself."""
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 6)) * np.logspace(-1, 1, 6)
    columns = {f"x{index}": features[:, index] for index in range(6)}
    y = features @ (1 / np.logspace(-1, 1, 6)) + 0.05 * random.normal(size=400)
    pl.DataFrame({**columns, "y": y}).write_csv("scales.csv")
    config = write_config(
        "scales.csv",
        "y",
        data={"scale": "none", "target_scale": "none", "split": {"validation": 0.25}},
        training={"epochs": 4, "batch_size": 8},
    )
    outcome = dlcli(
        *("compare-optimizers", config, "--optimizers", "sgd,adam", "--seeds", "5", "--json"),
        *("--set", "compare.tuning_seeds=2"),
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["verdict"]["winner"] == "adam"
    assert all(result["lr_on_edge"] == 0 for result in outcome.json["optimizers"])


def test_the_same_optimizer_under_two_names_can_not_be_told_apart(dlcli: Command) -> None:
    both = "compare.optimizers=[{name: one, type: adam}, {name: two, type: adam}]"
    outcome = dlcli(
        *("compare-optimizers", MOONS, "--lrs", "0.01", "--seeds", "4", "--json"),
        *("--set", "training.epochs=3", "--set", both),
    )
    assert "two is the same as one: the two can't be told apart" in outcome.err
    assert outcome.json["verdict"]["groups"] == [["one", "two"]]
    assert outcome.json["verdict"]["winner"] is None


def test_a_terminal_sees_the_runs_come_in(program: list[str]) -> None:
    command = [*program, "compare-optimizers", str(MOONS), *QUICK]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"COLUMNS": "120", "TERM": "xterm-256color"}
        os.execv(command[0], command)
    screen = b""
    while True:
        try:
            screen += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = screen.decode()
    assert "judging loss" in text
    assert "/8 runs" in text
    assert "can't be told apart" in text or "clear winner" in text
