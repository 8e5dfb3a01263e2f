"""`dlcli train --resume`, through the command line."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcli.config import load_config
from dlcli.runs.folder.lock import held
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.training.train import train as events_of
from dlcli.training.loop import Progress
from dlcli.training.saving.checkpoint import load_checkpoint, save_checkpoint
from tests.conftest import ROOT, UNMEASURED, Command
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

EVERY_STEP = ["--set", "checkpoint.every_steps=1"]


def write(optimizer: str = "adam", schedule: str = "exponential", **training: Any) -> Path:
    """Write the config of a run that is over in two epochs unless told otherwise."""
    short = {"epochs": 2, "early_stopping": {"patience": 5}, **training}
    return write_config(Path("c.yaml"), optimizer, schedule, training=short)


def train(dlcli: Command, run: str, *options: str) -> str:
    outcome = dlcli("train", "c.yaml", "--run-dir", run, *EVERY_STEP, *options)
    assert outcome.code == 0, outcome.err
    return outcome.out


def cut_short(run: str, last: str) -> None:
    """Leave a run folder as a process killed at an earlier save would have left it."""
    shutil.copy(last, Path(run) / "last.safetensors")
    for name in ("previous.safetensors", "summary.json"):
        (Path(run) / name).unlink()


class TestGoingOn:
    def test_a_finished_run_with_more_epochs_is_what_it_would_have_been(
        self, dlcli: Command
    ) -> None:
        write()
        train(dlcli, "straight", "--set", "training.epochs=5")
        train(dlcli, "r")
        out = train(dlcli, "r", "--resume", "--set", "training.epochs=5")
        assert "resumed in epoch 3" in out
        assert "changed: training.epochs: 2 then, 5 now" in out
        assert differences(Path("straight"), Path("r")) == []

    def test_a_run_that_is_ended_at_once_in_its_first_save_keeps_it(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write()
        train(dlcli, "straight")

        def save_slowly(path: Path, *arguments: Any, **named: Any) -> None:
            time.sleep(0.3)  # as a slow disk does
            save_checkpoint(path, *arguments, **named)

        with monkeypatch.context() as disk:
            disk.setattr("dlcli.runs.training.saver.save_checkpoint", save_slowly)
            prepared = prepare(load_config(Path("c.yaml"), EVERY_STEP[1:]))
            events = events_of(prepared, run_dir=Path("r"))
            assert isinstance(events, Generator)
            next(event for event in events if isinstance(event, Progress))
            with pytest.raises(KeyboardInterrupt):
                events.throw(KeyboardInterrupt())  # as a second SIGINT does
        assert Path("r/last.safetensors").exists()
        train(dlcli, "r", "--resume")
        assert differences(Path("straight"), Path("r")) == []

    @pytest.mark.parametrize(("key", "now"), [("patience", "3"), ("patience_factor", "1.5")])
    def test_a_stopped_run_with_more_patience_is_what_it_would_have_been(
        self, key: str, now: str, dlcli: Command
    ) -> None:
        write(optimizer="sgd", epochs=12)
        impatient = ["--set", "training.early_stopping.patience=1", "--set", "optimizer.lr=0.5"]
        patient = [*impatient, "--set", f"training.early_stopping.{key}={now}"]
        train(dlcli, "straight", *patient)
        train(dlcli, "r", *impatient)
        out = train(dlcli, "r", "--resume", *patient)
        assert f"changed: training.early_stopping.{key}: 1" in out
        assert differences(Path("straight"), Path("r")) == []
        refused = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP, *impatient)
        assert refused.code != 0
        assert "the run might have stopped earlier" in refused.err

    def test_nothing_left_to_do_is_no_error_and_changes_nothing(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        shutil.copytree("r", "before")
        train(dlcli, "r", "--resume")
        assert differences(Path("before"), Path("r")) == []

    def test_without_a_run_there_it_begins(self, dlcli: Command) -> None:
        write()
        assert "resumed" not in train(dlcli, "r", "--resume")
        train(dlcli, "straight")
        assert differences(Path("straight"), Path("r")) == []

    def test_the_resolved_config_in_the_folder_goes_on_as_well(self, dlcli: Command) -> None:
        write()
        train(dlcli, "straight")
        train(dlcli, "r")
        shutil.copy("r/previous.safetensors", "earlier.safetensors")
        cut_short("r", "earlier.safetensors")
        outcome = dlcli("train", "r/config.yaml", "--run-dir", "r", "--resume")
        assert outcome.code == 0, outcome.err
        assert differences(Path("straight"), Path("r")) == []

    def test_lines_of_epochs_after_the_last_save_are_written_anew(self, dlcli: Command) -> None:
        write(schedule="constant")  # which a run of one epoch may have
        train(dlcli, "straight")
        train(dlcli, "r", "--set", "training.epochs=1")
        later = Path("straight/metrics.jsonl").read_text().splitlines(keepends=True)[1:]
        with Path("r/metrics.jsonl").open("a") as file:
            file.write("".join(later) + '{"epoch": 9, "los')
        train(dlcli, "r", "--resume")
        assert differences(Path("straight"), Path("r")) == []

    def test_the_time_before_counts(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        before = json.loads(Path("r/summary.json").read_text())["seconds"]
        train(dlcli, "r", "--resume", "--set", "training.epochs=3")
        assert json.loads(Path("r/summary.json").read_text())["seconds"] > before


class TestWhatHasChanged:
    @pytest.mark.parametrize(
        ("change", "difference"),
        [
            ("training.batch_size=8", "training.batch_size: 16 then, 8 now"),
            ("seed=3", "seed: 0 then, 3 now"),
            ("optimizer.lr=0.5", "optimizer.lr: 0.01 then, 0.5 now"),
            ("optimizer={type: sgd}", "optimizer.type: adam then, sgd now"),
            ("model.layers=[{type: dense}]", "model.layers: 4 of them then, 1 of them now"),
            ("data.scale=minmax", "data.scale: standard then, minmax now"),
            ("data.features=[island]", "data.features: "),
            ("training.precision=bf16", "training.precision: auto then, bf16 now"),
            ("training.epochs=1", "training.epochs: 2 then, 1 now; 2 are done already"),
            (
                "training.early_stopping.patience=1",
                "training.early_stopping.patience: 5 then, 1 now; the run might have stopped",
            ),
            (
                "training.early_stopping.metric=accuracy",
                "training.early_stopping.metric: loss then, accuracy now; another epoch",
            ),
            (
                "training.early_stopping.min_delta=0.1",
                "training.early_stopping.min_delta: 0.0 then, 0.1 now; the run might have stopped",
            ),
        ],
    )
    def test_another_config_is_refused_with_the_difference(
        self, change: str, difference: str, dlcli: Command
    ) -> None:
        write(schedule="constant")
        train(dlcli, "r")
        shutil.copytree("r", "before")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", "--set", change)
        assert outcome.code == 2
        assert difference in outcome.err
        assert "resume with the same (its config is r/config.yaml)" in outcome.err
        assert differences(Path("before"), Path("r")) == []

    @pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
    def test_more_epochs_are_another_schedule_where_it_spreads_over_them(
        self, schedule: str, dlcli: Command
    ) -> None:
        write(schedule=schedule)
        train(dlcli, "r")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP, "--set",
                        "training.epochs=5")  # fmt: skip
        assert outcome.code == 2
        assert f"2 then, 5 now; schedule {schedule} depends on the number of epochs" in outcome.err

    @pytest.mark.parametrize(
        "change",
        ["name=other", "training.device=cpu", "training.early_stopping=null",
         "checkpoint={every_seconds: 5.0}"],
    )  # fmt: skip
    def test_a_harmless_change_is_named(self, change: str, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        out = train(dlcli, "r", "--resume", "--set", change)
        assert f"changed: {change.split('=')[0]}" in out

    def test_other_data_is_refused_with_its_checksums(self, dlcli: Command) -> None:
        shutil.copy(ROOT / "data" / "penguins.csv", "p.csv")
        config = yaml.safe_load(write().read_text())
        config["data"]["path"] = "p.csv"
        Path("c.yaml").write_text(yaml.safe_dump(config))
        train(dlcli, "r")
        text = Path("p.csv").read_text()
        Path("p.csv").write_text(text.replace("39.1", "39.2", 1))
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP)
        assert outcome.code == 3
        assert "data.path: p.csv: SHA-256 " in outcome.err
        Path("moved.csv").write_text(text)  # the same content elsewhere is the same data
        train(dlcli, "r", "--resume", "--set", "data.path=moved.csv")

    def test_another_number_of_threads_is_named(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        out = train(dlcli, "r", "--resume", "--set", "training.threads=7")
        assert "the same bits are no longer promised: threads 1 then, 7 now" in out


class TestDamage:
    def test_the_checkpoint_before_the_damaged_one_is_taken(self, dlcli: Command) -> None:
        write()
        train(dlcli, "straight")
        train(dlcli, "r")
        raw = bytearray(Path("r/last.safetensors").read_bytes())
        raw[-1] ^= 1
        Path("r/last.safetensors").write_bytes(raw)
        previous = Path("r/previous.safetensors").read_bytes()
        out = train(dlcli, "r", "--resume")
        assert "r/last.safetensors: damaged: its bytes are not those that were written" in out
        assert "it was renamed to damaged.safetensors" in out
        assert Path("r/damaged.safetensors").read_bytes() == raw
        assert Path("r/previous.safetensors").read_bytes() == previous
        Path("r/damaged.safetensors").unlink()
        assert differences(Path("straight"), Path("r")) == []

    def test_where_both_are_damaged_nothing_is_touched(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        for name in ("last", "previous"):
            Path(f"r/{name}.safetensors").write_bytes(b"gone")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP)
        assert outcome.code == 4
        assert "r/last.safetensors: no checkpoint of this dlcli" in outcome.err
        assert "r/previous.safetensors: no checkpoint of this dlcli" in outcome.err
        assert Path("r/last.safetensors").read_bytes() == b"gone"

    def test_the_network_alone_is_no_run(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        Path("r/previous.safetensors").unlink()
        shutil.copy("r/best.safetensors", "r/last.safetensors")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP)
        assert (outcome.code, "nothing to resume" in outcome.err) == (4, True)
        Path("r/last.safetensors").unlink()
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP)
        assert (outcome.code, "no last.safetensors to resume from" in outcome.err) == (4, True)

    def test_one_of_a_newer_dlcli_is_no_damaged_one(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write()
        with monkeypatch.context() as newer:
            newer.setattr("dlcli.training.saving.checkpoint.FORMAT_VERSION", 4)
            train(dlcli, "r")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *EVERY_STEP)
        assert (outcome.code, "checkpoint format 4" in outcome.err) == (4, True)
        assert not Path("r/damaged.safetensors").exists()

    def test_what_a_killed_process_had_half_written_is_removed(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        Path("r/.last.safetensors.0123.dlcli-partial").touch()
        Path("r/.mine").touch()
        train(dlcli, "r", "--resume")
        assert [path.name for path in Path("r").glob(".*")] == [".mine"]


class TestTheFolder:
    def test_resume_wants_a_folder_and_no_smoke(self, dlcli: Command) -> None:
        write()
        assert dlcli("train", "c.yaml", "--resume").code == 2
        assert dlcli("train", "c.yaml", "--resume", "--run-dir", "r", "--smoke").code == 2

    def test_a_folder_of_something_else_is_no_run(self, dlcli: Command) -> None:
        write()
        Path("r").mkdir()
        Path("r/notes.txt").touch()
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume")
        assert (outcome.code, "no run to resume" in outcome.err) == (4, True)
        outcome = dlcli("train", "c.yaml", "--run-dir", "r")
        assert (outcome.code, "this folder is not empty" in outcome.err) == (2, True)
        assert [path.name for path in Path("r").iterdir()] == ["notes.txt"]

    def test_a_run_is_not_trained_over(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r")
        assert (outcome.code, "resume its run: --resume" in outcome.err) == (2, True)

    def test_the_second_process_is_told_who_is_at_work(self, dlcli: Command) -> None:
        write(epochs=1_000_000, early_stopping=None)
        arguments = ["train", "c.yaml", "--run-dir", "r", "--set", "checkpoint.every_seconds=0.1"]
        program = [sys.executable, "-m", "dlcli"]
        first = subprocess.Popen([*program, *arguments], env=UNMEASURED, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not Path("r/last.safetensors").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            for options in ([], ["--resume"]):
                outcome = dlcli(*arguments, *options)
                assert outcome.code == 4
                assert f"r: in use by process {first.pid} on " in outcome.err
        finally:
            first.kill()
            first.wait()
        limited = ["--set", f"training.epochs={load_checkpoint(Path('r/last.safetensors')).epoch}"]
        assert dlcli(*arguments, *limited, "--resume").code == 0  # a killed process holds nothing

    def test_leaving_a_folder_leaves_no_lock(self) -> None:
        folder = RunFolder(Path("r"))
        folder.path.mkdir()
        with held(folder):
            assert list(folder.path.iterdir()) == [folder.lock]
        assert list(folder.path.iterdir()) == []
