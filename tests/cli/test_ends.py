"""How training can end before its time: what is said, and what is left."""

import contextlib
import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, UNMEASURED, Command, WriteConfig
from tests.reliability.comparing import differences

CONFIGS = ROOT / "configs"
WriteTable = Callable[..., Path]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_terminal_that_goes_away_does_not_end_training(dlcli: Command) -> None:
    short = ["--set", "training.epochs=10", "--set", "checkpoint.every_steps=1"]
    command = ["train", str(CONFIGS / "moons.yaml"), *short, "--set", "report=false"]
    pid, terminal = pty.fork()
    if pid == 0:  # the leader of a session with a terminal of its own
        program = [sys.executable, "-m", "dlcli", *command, "--run-dir", "run"]
        os.execve(sys.executable, program, UNMEASURED)
    wait_for(Path("run/last.safetensors"))
    os.close(terminal)  # the system sends SIGHUP to the session
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert dlcli(*command, "--run-dir", "straight").code == 0
    assert differences(Path("straight"), Path("run")) == []


def test_a_signal_while_the_report_is_made_leaves_a_complete_run() -> None:
    # The full page, as a quick one may take less time than the signal.
    short = ["--set", "training.epochs=5", "--set", "report=full", "--json", "--run-dir", "run"]
    command = [sys.executable, "-m", "dlcli", "train", str(CONFIGS / "moons.yaml"), *short]
    process = subprocess.Popen(
        command, env=UNMEASURED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("next: dlcli predict"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGUSR2)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "no report: SIGUSR2 came before it was done" in err
    assert "dlcli report run" in err
    assert json.loads(out)["stop_reason"] == "epochs"
    assert not list(Path("run").glob(".*"))


def test_a_signal_while_figures_are_shown_leaves_a_complete_run(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr("dlcli.cli.screens.tables.show_figures", show)
    monkeypatch.setattr("dlcli.report.plots.range_test.draw_range", show)
    before = signal.signal(signal.SIGUSR1, lambda *_: pytest.fail("it ends the process"))
    try:
        command = [CONFIGS / "moons.yaml", "--json", "--set", "training.epochs=2"]
        outcome = dlcli("train", *command, "--run-dir", "run", "--set", "report=quick")
        assert outcome.code == 0
        assert outcome.json["stop_reason"] == "epochs"
        assert "no report: SIGUSR1 came before it was done" in outcome.err
        outcome = dlcli("find-lr", *command, "--steps", 30, "--seeds", 1)
        assert (outcome.code, outcome.json["steps"] > 0) == (0, True)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_second_sigint_while_the_page_is_made_leaves_a_complete_run(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("dlcli.report.run_page.overview_sections", draw)
    command = [CONFIGS / "moons.yaml", "--json", "--set", "training.epochs=2"]
    outcome = dlcli("train", *command, "--run-dir", "run", "--set", "report=quick")
    assert outcome.code == 0
    assert outcome.json["stop_reason"] == "epochs"
    assert "no report: SIGINT came before it was done" in outcome.err
    assert "dlcli report run" in outcome.err
    assert not Path("run/report.html").exists()
    assert not list(Path("run").glob(".*"))


def test_a_second_sigint_between_training_and_the_page_leaves_a_complete_run(
    dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("dlcli.cli.screens.tables.show_figures", show)
    command = [CONFIGS / "moons.yaml", "--json", "--set", "training.epochs=2"]
    command += ["--set", "report=quick", "--assert", "test.accuracy>1"]
    outcome = dlcli("train", *command, "--run-dir", "run")
    assert outcome.code == 8, "the condition is looked at"
    assert outcome.json["stop_reason"] == "epochs"
    assert "the run is complete, make the report with: dlcli report run" in outcome.err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_signal_leaves_no_half_written_file(name: str) -> None:
    program = f"""
import os, signal
from pathlib import Path
from dlcli.__main__ import listen
from dlcli.files import atomic_file
listen()
with atomic_file(Path("predictions.csv")):
    os.kill(os.getpid(), signal.{name})
"""
    command = shlex.join([sys.executable, "-c", program])
    code = subprocess.run(["bash", "-c", command], check=False).returncode
    assert code == 128 + getattr(signal, name)
    assert not list(Path().iterdir())
    if name == "SIGHUP":
        assert subprocess.run(["nohup", sys.executable, "-c", program], check=False).returncode == 0
        assert Path("predictions.csv").exists()


def test_a_second_sigint_ends_at_once_and_the_last_checkpoint_is_whole(dlcli: Command) -> None:
    forever = ["--set", "training.epochs=1000000", "--set", "training.early_stopping=null"]
    command = ["train", str(CONFIGS / "moons.yaml"), "--run-dir", "run", *forever]
    command += ["--set", "report=false"]
    program = [sys.executable, "-m", "dlcli", *command, "--set", "checkpoint.every_steps=1"]
    process = subprocess.Popen(
        program, env=UNMEASURED, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(Path("run/last.safetensors"))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out
    assert not list(Path("run").glob(".*"))
    assert dlcli("evaluate", "run/last.safetensors").code == 0


def test_closed_standard_streams_end_only_what_has_to_print(dlcli: Command, penguins: Path) -> None:
    short = ["--set", "training.epochs=2", "--set", "report=false"]
    config = str(CONFIGS / "penguins.yaml")

    def run_with(closed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = shlex.join([sys.executable, "-m", "dlcli", *arguments])
        return subprocess.run(
            ["bash", "-c", f"{command} {closed}"], capture_output=True, text=True, check=False
        )

    trained = run_with("<&- >&- 2>&-", "train", config, "--run-dir", "closed", *short)
    assert trained.returncode == 0
    assert dlcli("train", config, "--run-dir", "open", *short).code == 0
    assert differences(Path("open"), Path("closed")) == []
    predicted = run_with(">&-", "predict", "closed", str(penguins), "-o", "p.csv")
    assert predicted.returncode == 0, predicted.stderr
    assert Path("p.csv").exists()
    evaluated = run_with(">&-", "evaluate", "closed")
    assert evaluated.returncode == 7
    assert evaluated.stderr == ("dlcli: standard output: cannot write to it: Bad file descriptor\n")


@pytest.mark.parametrize(("closed", "code"), [("stderr", 0), ("stdout", 7)])
def test_json_without_one_of_the_streams_fails_only_where_it_has_to_be_printed(
    closed: str, code: int, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["--set", "training.epochs=2", "--run-dir", "run", "--json"]
    unwritable = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")  # as the program puts in place
    monkeypatch.setattr(sys, closed, unwritable)
    outcome = dlcli("train", CONFIGS / "penguins.yaml", *short)
    with contextlib.suppress(OSError):  # what could not be written
        unwritable.close()
    assert outcome.code == code
    assert json.loads(Path("run/summary.json").read_text())["stop_reason"] == "epochs"
    if closed == "stderr":
        assert outcome.json["epochs"] == 2
    else:
        last = outcome.err.splitlines()[-1]
        assert last == "dlcli: standard output: cannot write to it: Bad file descriptor"


@pytest.mark.parametrize(
    ("lr", "what", "before"),
    [
        (0.5, "the loss is not finite at step 6", " at step 5, most of it in model.layers[1]"),
        (
            0.7,
            "the gradient of model.layers[0] is not finite at step 5",
            " at step 4, most of it in model.layers[0]",
        ),
    ],
)
def test_divergence_says_where_what_the_gradient_was_and_what_is_left(
    lr: float,
    what: str,
    before: str,
    dlcli: Command,
    table: WriteTable,
    write_config: WriteConfig,
) -> None:
    path = table("x,y", *[f"{n % 7},{(n % 7) * 2.5}" for n in range(60)])
    config = write_config(
        path,
        "y",
        data={"split": {"validation": 0.2}},
        model={"layers": [{"type": "dense", "units": 4}, {"type": "dense"}]},
        optimizer={"type": "sgd", "lr": lr},
        training={"epochs": 50, "batch_size": 12},
        checkpoint={"every_steps": 3},
    )
    outcome = dlcli("train", config, "--run-dir", "r")
    assert outcome.code == 5
    assert f"{what}, in epoch 2, with learning rate {lr}: training diverged; " in outcome.err
    assert "the gradient's norm was " in outcome.err
    assert before in outcome.err
    assert f"try optimizer.lr: {lr / 10:g}, training.gradient_clip_norm: 1" in outcome.err
    assert "The weights of the best epoch, 1, are in r/best.safetensors" in outcome.err
    assert "The last good checkpoint, r/last.safetensors, is of epoch 1" in outcome.err
    assert json.loads(Path("r/summary.json").read_text())["stop_reason"] == "diverged"
    assert dlcli("evaluate", "r/last.safetensors").code == 0


def test_too_large_a_batch_is_answered_with_one_that_fits(
    table: WriteTable, write_config: WriteConfig, program: list[str]
) -> None:
    path = table("a,b,y", *[f"{n % 17},{n % 5},{n % 3}" for n in range(9_000)])
    layers = [{"type": "dense", "units": 20_000, "activation": "relu"}, {"type": "dense"}]
    settings = {"epochs": 1, "batch_size": 8_192}
    config = write_config(path, "y", model={"layers": layers}, training=settings)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    def train(*overrides: str) -> subprocess.CompletedProcess[str]:
        command = [*program, "train", str(config), "--run-dir", "r"]
        return subprocess.run(
            [*command, *overrides], preexec_fn=limit, capture_output=True, text=True, check=False
        )

    outcome = train()
    assert outcome.returncode == 6, outcome.stderr
    assert "training.batch_size: 8192; a batch of " in outcome.stderr
    fitting = int(outcome.stderr.split("a batch of ")[1].split()[0])
    assert f"training.accumulate_batches: {8_192 // fitting} as many rows a step" in outcome.stderr
    assert not Path("r").exists()
    better = train("--set", f"training.batch_size={fitting}")
    assert better.returncode == 0, better.stderr


def test_a_line_of_metrics_that_has_no_room_ends_with_7_and_the_way_back(
    dlcli: Command, program: list[str]
) -> None:
    # A process that may write no file beyond a size stands in for a disk that is full.
    # With full batches and one layer, so that a checkpoint takes less room than a few lines.
    small = ["training.epochs=60", "training.early_stopping=null", "training.batch_size=full"]
    small += ["model.layers=[{type: dense}]", "checkpoint.every_steps=5", "report=false"]
    command = ["train", str(CONFIGS / "moons.yaml"), *(f"--set={each}" for each in small)]
    assert dlcli(*command, "--run-dir", "straight").code == 0
    room = Path("straight/last.safetensors").stat().st_size + 200
    assert room < Path("straight/metrics.jsonl").stat().st_size
    outcome = subprocess.run(
        [*program, *command, "--run-dir", "r"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        env=UNMEASURED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 7
    assert "dlcli: r/metrics.jsonl: cannot write it: File too large" in outcome.stderr
    assert "resume from it with: dlcli train r/config.yaml --run-dir r --resume" in outcome.stderr
    assert Path("r/metrics.jsonl").read_bytes().endswith(b"}\n")
    assert dlcli(*command, "--run-dir", "r", "--resume").code == 0
    assert differences(Path("straight"), Path("r")) == []


def test_no_room_for_the_first_checkpoint_leaves_no_folder(program: list[str]) -> None:
    outcome = subprocess.run(
        [
            *program,
            "train",
            str(CONFIGS / "moons.yaml"),
            "--run-dir",
            "r",
            "--set",
            "checkpoint.every_steps=1",
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
        env=UNMEASURED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 7
    assert "dlcli: r/last.safetensors: cannot write it: File too large" in outcome.stderr
    assert not Path("r").exists()
