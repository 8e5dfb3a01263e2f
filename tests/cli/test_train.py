import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from dlcli.config import load_config
from dlcli.runs.folder.run_folder import RunFolder, move_paths, write_config
from dlcli.runs.preparation import prepare
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import ROOT, Command, WriteConfig

CONFIGS = ROOT / "configs"
WriteTable = Callable[..., Path]


def test_a_run_folder_holds_what_the_contract_says(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIGS / "penguins.yaml", "--set", "training.epochs=3")
    assert outcome.code == 0, outcome.err
    run = Path("runs/penguins/001")
    assert sorted(path.name for path in run.iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "last.safetensors",
        "metrics.jsonl",
        "summary.json",
    ]
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert all(epoch["seconds"] > 0 and epoch["lr"] == 0.01 for epoch in epochs)
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["epochs"], summary["stop_reason"]) == (3, "epochs")
    best = min(epochs, key=lambda epoch: epoch["validation"]["loss"])
    assert summary["best_epoch"] == best["epoch"]
    assert summary["validation"]["loss"] == pytest.approx(best["validation"]["loss"])
    assert summary["rows"] == {"train": 206, "validation": 69, "test": 69}
    assert sum(map(sum, summary["test"]["confusion_matrix"])) == 69


def test_each_run_has_a_folder_of_its_own(dlcli: Command) -> None:
    for _ in range(2):
        assert dlcli("train", CONFIGS / "moons.yaml", "--set", "training.epochs=1").code == 0
    assert sorted(path.name for path in Path("runs/moons").iterdir()) == ["001", "002"]


def test_the_resolved_config_leaves_nothing_open_and_trains_to_the_same_bytes(
    dlcli: Command,
) -> None:
    config = CONFIGS / "penguins.yaml"
    assert dlcli("train", config, "--run-dir", "a", "--set", "training.epochs=3").code == 0
    resolved = load_config(Path("a/config.yaml")).config
    assert resolved.data.task == "multiclass"
    assert resolved.loss is not None
    assert resolved.loss.type == "cross_entropy"
    assert resolved.model.layers[-1].units == 3  # type: ignore[union-attr]
    assert dlcli("train", "a/config.yaml", "--run-dir", "b").code == 0
    assert yaml.safe_load(Path("b/config.yaml").read_text()) == yaml.safe_load(
        Path("a/config.yaml").read_text()
    )
    figures = [json.loads(Path(f"{run}/summary.json").read_text())["test"] for run in "ab"]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("config", ["penguins", "digits"])
def test_the_same_seed_gives_the_same_bytes(config: str, dlcli: Command) -> None:
    options = ["--set", "training.epochs=2"]
    dlcli("train", CONFIGS / f"{config}.yaml", *options, "--run-dir", "a")
    dlcli("train", CONFIGS / f"{config}.yaml", *options, "--run-dir", "some/where/else")
    dlcli("train", CONFIGS / f"{config}.yaml", *options, "--run-dir", "c", "--set", "seed=1")
    first = Path("a/best.safetensors").read_bytes()
    assert Path("some/where/else/best.safetensors").read_bytes() == first
    assert Path("c/best.safetensors").read_bytes() != first


def test_json_is_one_object_and_everything_else_goes_to_standard_error(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIGS / "moons.yaml", "--json", "--set", "training.epochs=1")
    assert outcome.json["run_dir"] == "runs/moons/001"
    assert (
        outcome.json["test"] == json.loads(Path("runs/moons/001/summary.json").read_text())["test"]
    )
    assert "epoch 1/1" in outcome.err


def test_without_a_terminal_each_epoch_is_a_plain_line(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIGS / "moons.yaml", "--set", "training.epochs=3")
    lines = [line for line in outcome.out.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 3
    assert "validation loss" in lines[0]
    assert "\x1b" not in outcome.out


def test_on_a_terminal_a_bar_with_the_figures_is_redrawn_in_place(program: list[str]) -> None:
    leader, follower = pty.openpty()
    overrides = ["--set", "training.epochs=60", "--set", "training.early_stopping=null"]
    overrides += ["--set", "report=false"]
    process = subprocess.Popen(
        [*program, "train", str(CONFIGS / "moons.yaml"), *overrides],
        stdout=follower,
        env={**os.environ, "COLUMNS": "90", "TERM": "xterm-256color"},
    )
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while block := os.read(leader, 65536):
            shown += block
    os.close(leader)
    assert process.wait(timeout=60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"epoch 60/60 ━+ [\d,]+ rows/s, at most 0:00:00 left", text)
    assert re.search(r"train loss .* validation loss .* accuracy .* best: epoch \d+", text)
    assert b"\x1b[1A" in shown  # up one line, to write over it


def test_what_was_inferred_is_said_with_its_key(dlcli: Command) -> None:
    out = dlcli("train", CONFIGS / "penguins.yaml", "--smoke").out
    assert "task: multiclass, as 'species' has 3 different labels (data.task)" in out
    assert "loss: cross_entropy, the default for a multiclass target (loss)" in out
    assert "cpu, float32" in out
    assert "text with 3 different values" in out


def test_early_stopping_keeps_the_best_weights(dlcli: Command) -> None:
    outcome = dlcli(
        "train", CONFIGS / "lecture" / "21_early_stopping.yaml", "--run-dir", "r", "--json"
    )
    summary = outcome.json
    assert summary["stop_reason"] == "early_stopping"
    assert summary["epochs"] == summary["best_epoch"] + 15
    evaluated = dlcli("evaluate", "r", "--json").json
    assert evaluated == {name: summary[name] for name in ("validation", "test")}
    last = dlcli("evaluate", "r/last.safetensors", "--json").json
    assert last["validation"]["loss"] > evaluated["validation"]["loss"]


@pytest.mark.parametrize("config", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_resolved_config_loads_to_an_equal_one_and_resolves_to_itself(config: Path) -> None:
    folder = RunFolder(Path("run"))
    folder.path.mkdir()
    prepared = prepare(load_config(config))
    write_config(folder, prepared.config, prepared.folder)
    again = load_config(folder.config)
    assert again.config == move_paths(prepared.config, prepared.folder, folder.path)
    assert prepare(again).config == again.config


@pytest.mark.parametrize("config", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_runs_in_smoke(config: Path, dlcli: Command) -> None:
    outcome = dlcli("train", config, "--smoke", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["run_dir"] is None
    assert list(Path().iterdir()) == []


def test_penguins_are_told_apart(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIGS / "penguins.yaml", "--assert", "test.accuracy >= 0.97")
    assert outcome.code == 0, outcome.err


class TestAssert:
    @pytest.mark.parametrize(
        ("expression", "code", "message"),
        [
            ("test.accuracy >= 0", 0, ""),
            ("epochs == 1", 0, ""),
            ("test.accuracy > 1", 8, "--assert test.accuracy > 1 does not hold"),
            ("test.acuracy > 0", 2, "did you mean 'test.accuracy'?"),
            ("stop_reason == 1", 2, "the summary has no 'stop_reason'"),
            ("accuracy", 2, "write a name, one of"),
            ("test.accuracy > much", 2, "write a name, one of"),
            ("test.accuracy > nan", 2, "write a name, one of"),
        ],
    )
    def test_it_compares_one_figure(
        self, expression: str, code: int, message: str, dlcli: Command
    ) -> None:
        arguments = ["--set", "training.epochs=1", "--assert", expression]
        outcome = dlcli("train", CONFIGS / "moons.yaml", *arguments)
        assert outcome.code == code
        assert message in outcome.err
        assert Path("runs").exists() == (code != 2)


GOOD_TABLE = ["a,b,y", *[f"{n},{'uvw'[n % 3]},{n % 2}" for n in range(30)]]
SPLIT = {"split": {"validation": 0.2, "test": 0.2}}


@pytest.mark.parametrize(
    ("lines", "sections", "code", "message"),
    [
        (GOOD_TABLE, {"training": {"epochs": "many"}}, 2, "training.epochs: must be a whole"),
        (GOOD_TABLE, {"optimizer": {"type": "adan"}}, 2, "did you mean 'adam'?"),
        (GOOD_TABLE, {"data": {"target": "q"}}, 2, "data.target: "),
        (GOOD_TABLE, {"loss": "mse"}, 2, "loss: mse doesn't fit a binary target"),
        (
            GOOD_TABLE,
            {"model": {"layers": [{"type": "dense", "units": 1, "activation": "sigmoid"}]}},
            2,
            "model.layers[0].activation: binary_cross_entropy takes logits",
        ),
        (
            GOOD_TABLE,
            {"model": {"layers": [{"type": "conv1d", "out_channels": 2, "kernel_size": 2}]}},
            2,
            "model.layers[0]: expects [channels, length], got [4]",
        ),
        (
            GOOD_TABLE,
            {"model": {"layers": [{"type": "dense", "units": 7}]}},
            2,
            "model.layers[0]: the network's output has the shape [7], the target needs [1]",
        ),
        (GOOD_TABLE, {"training": {"early_stopping": {}}}, 2, "needs validation rows"),
        (GOOD_TABLE, {"schedule": {"type": "reduce_on_plateau"}}, 2, "needs validation rows"),
        (
            GOOD_TABLE,
            {"data": SPLIT, "training": {"early_stopping": {"metric": "r2"}}},
            2,
            "a binary target has no r2; use one of loss, accuracy",
        ),
        (
            GOOD_TABLE,
            {"schedule": {"type": "cosine", "warmup_epochs": 5}},
            2,
            "schedule.warmup_epochs: must be less than training.epochs, 2",
        ),
        (
            GOOD_TABLE,
            {
                "model": {"layers": [{"type": "batch_norm"}, {"type": "dense"}]},
                "training": {"batch_size": 29, "last_batch": "keep"},
            },
            2,
            "model.layers[0]: batch_norm needs at least 2 rows per batch",
        ),
        (GOOD_TABLE, {"loss": {"type": "binary_cross_entropy", "class_weights": {"x": 2.0}}}, 2,
         "there is no class 'x'"),
        (GOOD_TABLE, {"training": {"device": "cuda:9"}}, 2, "training.device: cuda:9 is not here"),
        ([], {}, 3, "the file is empty"),
        (GOOD_TABLE[:1], {}, 3, "no rows below the header"),
        ([*GOOD_TABLE, "1,u"], {}, 3, "line 32: 2 cells where the header has 3"),
        ([*GOOD_TABLE[:3], "1,u,"], {}, 3, "line 4: the target 'y' is missing"),
        (["a,y", "1,u", "2,u", "3,u"], {}, 3, "one class"),
        (GOOD_TABLE[:3], {"data": SPLIT}, 3, "too few rows for the split"),
        (GOOD_TABLE, {"data": {"path": "none.csv"}}, 3, "none.csv: there is no such file"),
        (GOOD_TABLE, {"data": {"shape": [1, 3]}}, 2, "data.shape: takes numeric features only"),
    ],
)  # fmt: skip
def test_bad_input_has_its_exit_code_one_message_and_leaves_nothing(
    lines: list[str],
    sections: dict[str, object],
    code: int,
    message: str,
    dlcli: Command,
    table: WriteTable,
    write_config: WriteConfig,
) -> None:
    if lines:
        path = table(*lines)
    else:
        path = Path("table.csv")
        path.touch()
    before = sorted(Path().iterdir())
    config = write_config(path.absolute(), "y", **sections)
    outcome = dlcli("train", config)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert outcome.err.startswith("dlcli: ")
    assert "Traceback" not in outcome.err
    assert sorted(Path().iterdir()) == sorted([*before, Path("config.yaml")])


def test_a_run_dir_that_holds_something_is_left_alone(dlcli: Command) -> None:
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("three years of work")
    outcome = dlcli("train", CONFIGS / "moons.yaml", "--run-dir", "full")
    assert outcome.code == 2
    assert "--run-dir full: this folder is not empty" in outcome.err
    assert [path.name for path in Path("full").iterdir()] == ["thesis.txt"]


def test_a_failed_run_leaves_the_empty_folder_that_was_there(dlcli: Command) -> None:
    Path("mine").mkdir()
    overrides = ["--set", "optimizer={type: sgd, lr: 1.0e+30}", "--set", "loss=mse"]
    assert dlcli("train", CONFIGS / "final_grade.yaml", "--run-dir", "mine", *overrides).code == 5
    assert list(Path("mine").iterdir()) == []


def test_a_network_without_weights_is_refused(dlcli: Command) -> None:
    layers = "model.layers=[{type: activation, activation: relu}]"
    overrides = ["--set", layers, "--set", "data.features=[lectures]"]
    outcome = dlcli("train", CONFIGS / "final_grade.yaml", *overrides)
    assert outcome.code == 2
    assert "there is nothing to train: no layer has weights" in outcome.err


def test_smoke_never_makes_a_batch_of_one(
    dlcli: Command, table: WriteTable, write_config: WriteConfig
) -> None:
    path = table("x,y", *[f"{row % 7},{row % 2}" for row in range(4200)])
    config = write_config(
        path,
        "y",
        model={"layers": [{"type": "batch_norm"}, {"type": "dense"}]},
        training={"batch_size": 4095},
    )
    assert dlcli("train", config, "--smoke").code == 0


@pytest.mark.parametrize("command", ["validate", "describe", "train", "schema"])
def test_a_full_standard_output_is_a_storage_error(command: str, program: list[str]) -> None:
    arguments = {"schema": [], "train": [CONFIGS / "moons.yaml", "--smoke", "--json"]}
    with Path("/dev/full").open("w") as full:
        outcome = subprocess.run(
            [*program, command, *map(str, arguments.get(command, [CONFIGS / "moons.yaml"]))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert outcome.returncode == 7
    assert outcome.stderr.splitlines()[-1].startswith(
        "dlcli: standard output: cannot write to it: No space left"
    )


def test_training_goes_on_when_nobody_reads_its_screen_any_more(program: list[str]) -> None:
    train = shlex.join([*program, "train", str(CONFIGS / "moons.yaml"), "--run-dir", "run"])
    command = f"{train} | head -n 1"
    subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert json.loads(Path("run/summary.json").read_text())["stop_reason"] != "sigint"


def test_a_run_dir_that_cannot_be_made_is_a_storage_error(dlcli: Command) -> None:
    Path("file").touch()
    outcome = dlcli("train", CONFIGS / "moons.yaml", "--run-dir", "file/inside")
    assert outcome.code == 7
    assert "file/inside: cannot create this folder" in outcome.err


class TestDivergence:
    def test_it_ends_with_5_the_step_the_rate_and_advice(self, dlcli: Command) -> None:
        overrides = ["--set", "optimizer={type: sgd, lr: 1.0e+30}", "--set", "loss=mse"]
        outcome = dlcli("train", CONFIGS / "final_grade.yaml", *overrides)
        assert outcome.code == 5
        assert "is not finite at step 2, in epoch 1, with learning rate 1e+30" in outcome.err
        assert "try optimizer.lr: 1e+29" in outcome.err
        assert not list(Path().rglob("*.safetensors"))

    def test_answers_that_overflow_on_the_validation_rows_are_one(self, dlcli: Command) -> None:
        overrides = ["--set", "optimizer.lr=1.0e+37", "--set", "training.batch_size=full"]
        outcome = dlcli("train", CONFIGS / "final_grade.yaml", *overrides)
        assert outcome.code == 5
        assert "on the validation rows, the network's predictions are not finite" in outcome.err
        assert not list(Path().rglob("*.safetensors"))

    @pytest.mark.parametrize(
        ("optimizer", "said"),
        [
            ("{type: adam, lr: 1.0e+38}", "the loss is not finite at step 2, in epoch 1"),
            ("{type: adadelta, lr: 1.0e+39}", "the optimizer's step is too long for float32"),
        ],
    )
    def test_a_step_that_overflows_is_one(self, optimizer: str, said: str, dlcli: Command) -> None:
        overrides = ["--set", f"optimizer={optimizer}"]
        outcome = dlcli("train", CONFIGS / "final_grade.yaml", *overrides)
        assert outcome.code == 5
        assert said in outcome.err
        assert not list(Path().rglob("*.safetensors"))

    def test_the_best_weights_before_it_are_kept(
        self, dlcli: Command, table: WriteTable, write_config: WriteConfig
    ) -> None:
        path = table("x,y", *[f"{n % 7},{(n % 7) * 2.5}" for n in range(60)])
        config = write_config(
            path,
            "y",
            data={"split": {"validation": 0.2}},
            optimizer={"type": "sgd", "lr": 20.0},
            training={"epochs": 400, "batch_size": "full"},
        )
        outcome = dlcli("train", config, "--run-dir", "r")
        assert outcome.code == 5
        assert "The weights of the best epoch, 1, are in r/best.safetensors" in outcome.err
        summary = json.loads(Path("r/summary.json").read_text())
        assert (summary["stop_reason"], summary["best_epoch"]) == ("diverged", 1)
        assert summary["test"] is None
        assert dlcli("evaluate", "r", "--json").code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_with_the_work_saved(
    number: int, code: int, dlcli: Command, program: list[str]
) -> None:
    arguments = ["train", str(CONFIGS / "penguins.yaml"), "--run-dir", "r"]
    forever = ["--set", "training.epochs=1000000", "--set", "training.early_stopping=null"]
    forever += ["--set", "report=false"]
    process = subprocess.Popen(
        [*program, *arguments, *forever],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = Path("r/metrics.jsonl")
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size > 2000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert "stopped by SIG" in out
    epochs = len(metrics.read_text().splitlines())
    summary = json.loads(Path("r/summary.json").read_text())
    assert summary["epochs"] == epochs
    assert summary["stop_reason"] in ("sigint", "sigterm")
    assert summary["test"] is None
    assert dlcli("evaluate", "r", "--json").json["validation"] == summary["validation"]


def test_a_learning_rate_schedule_shows_in_the_metrics(dlcli: Command) -> None:
    overrides = ["--set", "training.epochs=4", "--set", "schedule={type: step, step_size: 2}"]
    dlcli("train", CONFIGS / "moons.yaml", "--run-dir", "r", *overrides)
    lines = Path("r/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["lr"] for line in lines] == pytest.approx([0.01, 0.01, 0.001, 0.001])


def test_the_best_epoch_is_the_watched_figures(dlcli: Command) -> None:
    overrides = ["--set", "training.early_stopping={patience: 5, metric: roc_auc}"]
    dlcli("train", CONFIGS / "pass_class.yaml", "--run-dir", "r", *overrides)
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    figures = [line["validation"]["roc_auc"] for line in lines]
    summary = json.loads(Path("r/summary.json").read_text())
    assert summary["best_epoch"] == figures.index(max(figures)) + 1


def test_without_validation_rows_the_last_epoch_is_the_best_and_it_is_said(dlcli: Command) -> None:
    outcome = dlcli("train", CONFIGS / "lecture" / "01_perceptron.yaml", "--run-dir", "r", "--set",
                    "data.split={}", "--set", "training.epochs=3")  # fmt: skip
    assert "no validation rows: the last epoch's weights count as the best" in outcome.out
    assert "no test rows" in outcome.out
    summary = json.loads(Path("r/summary.json").read_text())
    assert (summary["validation"], summary["test"], summary["best_epoch"]) == (None, None, 3)
    last = load_checkpoint(Path("r/last.safetensors")).weights
    best = load_checkpoint(Path("r/best.safetensors")).weights
    assert all(torch.equal(best[name], last[name]) for name in last)


def test_a_network_too_large_for_memory_ends_with_6_and_leaves_nothing(dlcli: Command) -> None:
    wide = "{type: dense, units: 1000000}"
    layers = f"model.layers=[{wide}, {wide}, {wide}, {{type: dense}}]"
    outcome = dlcli("train", CONFIGS / "moons.yaml", "--set", layers, "--run-dir", "r")
    assert outcome.code == 6, outcome.err
    assert "cpu has too little memory for 2,000,00" in outcome.err
    assert not Path("r").exists()
