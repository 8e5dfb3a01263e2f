"""One network on several processes: the same files as one process leaves, and how they end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dlcli.cli.app import run
from tests.conftest import ROOT
from tests.reliability.comparing import differences

SECONDS = 15  # in which all processes end, once one has
DIGITS = ["configs/digits.yaml", "--set", "report=false", "--set", "training.threads=1"]


START = (sys.executable, "-m", "dlcli")  # `program` does the same, by forks of one process


def train(
    *arguments: object, start: Sequence[str] = START, **environment: str
) -> subprocess.Popen[str]:
    command = [*start, "train", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err
    return process.returncode, out, err


def processes_of(folder: Path) -> dict[int, int]:
    """Return the processes that train in a folder, by rank."""
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                command = (path / "cmdline").read_bytes().split(b"\0")
                environment = dict(
                    item.partition(b"=")[::2]
                    for item in (path / "environ").read_bytes().split(b"\0")
                )
            except OSError:  # it has just ended
                continue
            if str(folder).encode() in command and b"RANK" in environment:
                found[int(environment[b"RANK"])] = int(path.name)
    return found


@contextmanager
def training(
    folder: Path, *more: object, start: Sequence[str] = START
) -> Iterator[tuple[subprocess.Popen[str], dict[int, int]]]:
    """Train for long on two processes; provide the launcher, and the others by rank."""
    settings = ["--set", "training.epochs=5000", "--set", "checkpoint.every_steps=5"]
    settings += ["--set", "schedule={type: constant}"]
    settings += ["--processes", "2", "--run-dir", str(folder)]
    process = train(*DIGITS, *settings, *more, start=start)
    try:
        while not (folder / "previous.safetensors").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield process, processes_of(folder)
    finally:
        for pid in processes_of(folder).values():
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_two_processes_leave_what_one_leaves(tmp_path: Path, program: list[str]) -> None:
    # With convolutions, batch normalisation, dropout, and a short last batch.
    settings = ["--set", "training.epochs=2", "--set", "training.shards=2", "--json"]
    settings += ["--set", "data.streaming=true", "--set", "training.batch_size=50"]
    results = [
        finish(
            train(
                *(*DIGITS, *settings, "--processes", number, "--run-dir", tmp_path / str(number)),
                start=program,
            )
        )
        for number in (1, 2)
    ]
    assert [code for code, _, _ in results] == [0, 0]
    summaries = [json.loads(out) for _, out, _ in results]
    for summary in summaries:
        del summary["seconds"], summary["run_dir"]
    assert summaries[0] == summaries[1]
    assert differences(tmp_path / "1", tmp_path / "2") == []
    assert "shards 2 parts of each batch, shared by 2 processes" in results[1][2]
    assert results[1][2].count("epoch 1/2") == 1, "only the first process prints"


@pytest.mark.parametrize("is_resumed", [False, True])
def test_shards_that_processes_cannot_share_evenly_are_refused(
    tmp_path: Path, is_resumed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    settings = ["--set", "training.shards=4", "--processes", "3", "--run-dir", str(folder)]
    if is_resumed:
        folder.mkdir()
        (folder / "config.yaml").write_bytes((ROOT / DIGITS[0]).read_bytes())
        settings.append("--resume")
    assert run(["train", str(ROOT / DIGITS[0]), *settings]) == 2
    # A run that is resumed keeps its shards: to change them is no advice.
    other = "" if is_resumed else ", or set training.shards to a multiple of the processes"
    message = f"3 processes can't share training.shards: 4 evenly; take 1 or 2 or 4{other}"
    assert capsys.readouterr().err == f"dlcli: {message}\n"
    assert folder.exists() == is_resumed


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", DIGITS[0], "--processes", "2"], "--processes: torchrun or srun has started"),
        (["train", DIGITS[0], "--restarts", "1"], "--restarts: torchrun or srun has started"),
        (["describe", DIGITS[0], "--processes", "2"], "--processes: torchrun or srun has started"),
        (["train", DIGITS[0], "--resume"], "--resume: resumes the run of a folder"),
        (["train", DIGITS[0], "--assert", "accuracy"], "--assert 'accuracy': write a name"),
    ],
)
def test_a_wrong_command_line_is_said_by_one_process_of_a_machine(
    command: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    said = []
    for rank in "01":
        for name, value in {**common, "RANK": rank, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, value)
        assert run(command) == 2
        said.append(capsys.readouterr().err)
    assert message in said[0]
    assert said[1] == ""


@pytest.mark.parametrize("command", ["train", "describe"])
def test_an_unknown_key_is_refused_before_processes_are_started(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    assert run([command, str(ROOT / DIGITS[0]), "--set", "lr=1", "--processes", "2"]) == 2
    assert capfd.readouterr().err.startswith("dlcli: --set lr=1: lr: unknown key")
    assert signal.getsignal(signal.SIGTERM) is handler, "no agent was here"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_sigint_before_processes_are_started_leaves_no_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dlcli", "train", str(ROOT / DIGITS[0]), "--processes", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.campaign
def test_a_wrong_config_is_said_once_without_a_restart_and_leaves_the_users_folder(
    tmp_path: Path,
) -> None:
    wrong = ["--set", "data.target=nope", "--restarts", 1, "--run-dir", tmp_path]
    code, out, err = finish(train(*DIGITS, *wrong, "--processes", 2))
    assert (code, out) == (2, "")
    assert err.count("has no column 'nope'") == len(err.splitlines()) == 1
    assert tmp_path.exists()


def test_restarts_of_a_smoke_run_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(ROOT / DIGITS[0]), "--smoke", "--restarts", "1"]) == 2
    assert "--restarts: resumes the run of a folder; --smoke leaves none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.campaign)]
)
def test_the_others_end_where_one_is_gone_and_the_run_resumes_on_one(
    tmp_path: Path, number: signal.Signals, program: list[str]
) -> None:
    folder = tmp_path / "run"
    with training(folder) as (process, ranks):
        assert ranks.keys() == {0, 1}
        os.kill(ranks[1], number)
        code, _, err = finish(process, SECONDS)
        assert code == 128 + signal.SIGKILL
        assert "process 1 was ended by SIGKILL" in err
        assert f"resume: dlcli train {folder}/config.yaml --run-dir {folder} --resume" in err
        assert processes_of(folder) == {}
    epochs = len((folder / "metrics.jsonl").read_text().splitlines()) + 1
    short = [*DIGITS, "--set", f"training.epochs={epochs}", "--set", "schedule={type: constant}"]
    resumed = train(*short, "--run-dir", folder, "--resume", start=program)
    assert finish(resumed)[0] == 0
    whole = tmp_path / "whole"
    short += ["--set", "training.shards=2"]
    assert finish(train(*short, "--run-dir", whole, start=program))[0] == 0
    assert differences(whole, folder) == []


@pytest.mark.parametrize(
    ("rank", "number"),
    [
        (1, signal.SIGTERM),
        *(
            pytest.param(rank, number, marks=pytest.mark.campaign)
            for rank, number in (
                *((0, signal.SIGTERM), (None, signal.SIGTERM)),
                *((None, signal.SIGUSR1), (0, signal.SIGUSR2)),
            )
        ),
    ],
)
def test_a_signal_to_any_process_stops_all_and_the_work_is_saved(
    tmp_path: Path, rank: int | None, number: signal.Signals, program: list[str]
) -> None:
    folder = tmp_path / "run"
    with training(folder, start=program) as (process, ranks):
        os.kill(process.pid if rank is None else ranks[rank], number)
        code, out, err = finish(process, SECONDS)
        assert code == 128 + number
        assert f"stopped by {number.name}" in out + err
        assert processes_of(folder) == {}
    assert json.loads((folder / "summary.json").read_text())["stop_reason"] == number.name.lower()


def test_the_time_is_up_for_all_processes_at_the_same_step(
    tmp_path: Path, program: list[str]
) -> None:
    settings = ["--set", "training.epochs=5000", "--set", "training.max_seconds=1"]
    settings += ["--set", "schedule={type: constant}", "--run-dir", str(tmp_path / "run")]
    code, _, err = finish(train(*DIGITS, *settings, "--processes", 2, start=program))
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["stop_reason"], summary["test"] is None) == ("time", False)


@pytest.mark.campaign
def test_describe_estimates_a_step_on_several_processes() -> None:
    command = [sys.executable, "-m", "dlcli", "describe", "configs/penguins.yaml", "--processes"]
    done = subprocess.run([*command, "2"], cwd=ROOT, capture_output=True, text=True, check=True)
    number = r"[\d.e+]+"
    several = rf"{number} ms on \d \({number} of exchange\)"
    best = r"[124] process(es)? would be the fastest of these"
    assert re.search(rf"step about {number} ms on 1, {several}, {several}: {best}", done.stdout)
    refused = subprocess.run(
        [*command, "2", "--set", "data.streaming=true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.count("measured as training starts") == 1


def test_processes_of_srun_with_different_configs_are_refused(
    tmp_path: Path, program: list[str]
) -> None:
    # As srun sets them; the port follows from the job's number.
    common = {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost,elsewhere",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_ID": "0",
    }
    started = [
        train(
            *DIGITS,
            *("--set", f"optimizer.lr=0.0{rank + 1}", "--run-dir", tmp_path / "run"),
            start=program,
            SLURM_PROCID=str(rank),
            SLURM_LOCALID=str(rank),
            **common,
        )
        for rank in (0, 1)
    ]
    (first, _, err), (second, _, silent) = map(finish, started)
    assert (first, second) == (2, 2)
    assert (
        "the processes differ in config.optimizer.lr: 0.01 in process 0, 0.02 in process 1" in err
    )
    assert silent == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.campaign
def test_all_processes_end_where_their_launcher_is_killed(tmp_path: Path) -> None:
    with training(tmp_path / "run") as (process, ranks):
        assert ranks.keys() == {0, 1}
        process.kill()
        deadline = time.monotonic() + SECONDS
        while processes_of(tmp_path / "run"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.campaign
def test_a_lost_process_is_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with training(folder, "--restarts", 1) as (process, ranks):
        os.kill(ranks[1], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while processes_of(folder).keys() != {0, 1} or set(ranks.values()) & {
            *processes_of(folder).values()
        }:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(3)  # they have joined, and train
        os.kill(process.pid, signal.SIGTERM)
        code, out, err = finish(process, 60)
    assert code == 128 + signal.SIGTERM
    assert "resumed in epoch" in out + err
