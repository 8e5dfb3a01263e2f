"""Data larger than memory, through the command line."""

import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from rich.console import Console

from dlcli.cli.screens.progress import follow_reading
from dlcli.config import load_config
from dlcli.data import disk_cache, memory_estimate
from dlcli.data.stream import Reading
from dlcli.runs.preparation import prepare
from dlcli.runs.training import run as run_under_way
from dlcli.runs.training import smoke
from dlcli.runs.training import train as runs
from dlcli.runs.training.events import StoppedBeforeTraining
from dlcli.runs.training.signals import stop_signals
from dlcli.tables import reading
from dlcli.training.loop import Progress
from tests.conftest import ROOT, UNMEASURED, Command
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

EVERY_STEP = ["--set", "checkpoint.every_steps=1"]
STREAMED = ["--set", "data.streaming=true"]
ENVIRONMENT = {**UNMEASURED, "PYTHONPATH": str(ROOT)}


def write(**sections: Any) -> Path:
    """Write the config of a run of two epochs on the penguins."""
    return write_config(Path("c.yaml"), "adam", "cosine", training={"epochs": 2}, **sections)


def train(dlcli: Command, run: str, *options: str) -> str:
    outcome = dlcli("train", "c.yaml", "--run-dir", run, *EVERY_STEP, *options)
    assert outcome.code == 0, outcome.err
    return outcome.out


def lines_of(run: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [line | {"seconds": 0} for line in lines]


def saved_streaming(run: str) -> object:
    return yaml.safe_load(Path(run, "config.yaml").read_text())["data"]["streaming"]


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 100_000)


class TestTraining:
    def test_csv_and_parquet_lead_to_the_same_weights(self, dlcli: Command) -> None:
        frame = pl.read_csv(ROOT / "data" / "penguins.csv", null_values="NA")
        frame.write_parquet("penguins.parquet", row_group_size=50)
        write()
        train(dlcli, "csv", *STREAMED)
        train(dlcli, "parquet", *STREAMED, "--set", "data.path=penguins.parquet")
        assert lines_of("csv") == lines_of("parquet")

    def test_blocks_of_any_size_lead_to_nearly_the_same(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write()
        train(dlcli, "large", *STREAMED)
        monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
        train(dlcli, "small", *STREAMED)
        for large, small in zip(lines_of("large"), lines_of("small"), strict=True):
            assert small["train"]["loss"] == pytest.approx(large["train"]["loss"], rel=1e-5)

    def test_it_says_what_it_reads_and_what_is_not_as_usual(self, dlcli: Command) -> None:
        write()
        out = train(dlcli, "r", *STREAMED)
        assert re.search(r"read .*penguins.csv for statistics: 344 rows in [\d.]+ s\n", out)
        assert re.search(r"read .*penguins.csv for encoding: 344 rows in [\d.]+ s\n", out)
        assert "each row is assigned to a part independently" in out
        assert "roc_auc treats scores with the same first three digits as equal" in out

    @pytest.mark.usefixtures("little_memory")
    def test_what_would_fill_the_memory_is_streamed(self, dlcli: Command) -> None:
        write()
        assert "rows are streamed from disk: the table would take" in train(dlcli, "r")
        assert saved_streaming("r") is True

    def test_what_fits_is_held(self, dlcli: Command) -> None:
        write()
        assert "data.streaming" not in train(dlcli, "r")
        assert saved_streaming("r") is False

    def test_rows_without_a_target_and_files_of_their_own(self, dlcli: Command) -> None:
        lines = (ROOT / "data" / "penguins.csv").read_text().splitlines()
        Path("v.csv").write_text("\n".join([lines[0], *lines[2::7], ",,,,,,,", ""]))
        data = {"validation_path": "v.csv", "drop_missing_target": True, "streaming": True}
        config = yaml.safe_load(write().read_text())
        config["data"] |= data | {"split": {}}
        Path("c.yaml").write_text(yaml.safe_dump(config))
        out = train(dlcli, "r")
        assert "v.csv: 1 of 50 rows left out" in out
        assert "344 train, 49 validation rows" in out

    def test_a_file_that_changes_between_two_passes_is_refused(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = Path("p.csv")
        shutil.copy(ROOT / "data" / "penguins.csv", file)

        def opened(*arguments: Any) -> Any:
            with file.open("a") as more:
                more.write("Adelie,Biscoe,37.8,18.3,174,3400,female,2007\n" * 9)
            return real(*arguments)

        real = disk_cache.open_row_caches
        monkeypatch.setattr(run_under_way, "open_row_caches", opened)
        write()
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", *STREAMED, "--set", "data.path=p.csv")
        assert outcome.code == 3
        assert "p.csv: it changed while it was read: " in outcome.err
        assert not Path("r").exists()


class TestGoingOn:
    @pytest.mark.parametrize("how", ["streamed", "held"])
    def test_a_run_goes_on_as_it_began_whatever_the_memory(
        self, how: str, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = {"streamed": 100_000, "held": 10**12}
        loaded = load_config(write(), [EVERY_STEP[1]])
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: sizes[how])
        train(dlcli, "straight")
        events: Any = runs.train(prepare(loaded), run_dir=Path("r"))
        with closing(events):
            steps = [event for event in islice(events, 16) if isinstance(event, Progress)]
        assert steps[-1].epoch == 2
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 10**12 + 100_000 - sizes[how])
        assert "resumed in epoch 2, after step" in train(dlcli, "r", "--resume")
        assert saved_streaming("r") is (how == "streamed")
        assert differences(Path("straight"), Path("r")) == []

    def test_a_run_that_held_its_rows_does_not_go_on_streaming_them(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r")
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", "--resume", *STREAMED)
        assert outcome.code == 2
        assert "data.streaming: False then, True now" in outcome.err


class TestDisk:
    def test_too_little_room_is_told_before_anything_is_written(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(".")._replace(free=1000)
        monkeypatch.setattr(disk_cache.shutil, "disk_usage", lambda _: usage)  # type: ignore[attr-defined]
        write()
        outcome = dlcli("train", "c.yaml", "--run-dir", "r", *STREAMED)
        assert outcome.code == 7
        assert outcome.err == (
            "dlcli: r: too little room for the encoded rows: they take 0 MiB, and 0 MiB are free; "
            "make room, or name a --run-dir on another disk\n"
        )
        assert not Path("r").exists()

    def test_a_disk_that_fills_up_ends_the_run_and_nothing_stays(self, program: list[str]) -> None:
        write()
        done = subprocess.run(
            [*program, "train", "c.yaml", "--run-dir", "r", *STREAMED],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
            env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7
        assert "r: cannot keep the encoded rows there: File too large" in done.stderr
        assert not Path("r").exists()

    def test_nothing_of_the_rows_is_left_by_a_run_that_is_killed(self, program: list[str]) -> None:
        config = yaml.safe_load(write().read_text())
        config["training"]["epochs"] = 100_000
        Path("c.yaml").write_text(yaml.safe_dump(config))
        command = [*program, "train", "c.yaml", "--run-dir", "r"]
        with subprocess.Popen(
            [*command, *EVERY_STEP, *STREAMED],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        ) as run:
            while not Path("r/last.safetensors").exists():
                assert run.poll() is None
                time.sleep(0.01)
            run.kill()
        names = {path.name for path in Path("r").iterdir()} - {".lock", "metrics.jsonl"}
        assert {name for name in names if not name.endswith("-partial")} <= {
            *("config.yaml", "last.safetensors", "previous.safetensors", "best.safetensors")
        }
        assert {path.name for path in Path().iterdir()} == {"c.yaml", "r"}


class TestSmoke:
    def test_it_reads_only_the_first_blocks(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "BLOCK_BYTES", 400)
        monkeypatch.setattr(smoke, "SMOKE_BLOCKS", 12)
        lines = [f"{row},{row % 2}" for row in range(5000)]
        Path("t.csv").write_text("\n".join(["x,y", *lines, "far,too,many,cells", ""]))
        Path("c.yaml").write_text(
            "data: {path: t.csv, target: y, streaming: true, split: {validation: 0.2, test: 0.2}}\n"
            "model: {layers: [{type: dense}]}\n"
        )
        outcome = dlcli("train", "c.yaml", "--smoke")
        assert outcome.code == 0, outcome.err
        assert "every stage ran" in outcome.out
        assert dlcli("train", "c.yaml").code == 3


class TestEvaluating:
    def test_the_rows_held_out_have_the_figures_of_the_run(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r", *STREAMED)
        summary = json.loads(Path("r/summary.json").read_text())
        figures = dlcli("evaluate", "r", "--json").json
        for name in ("validation", "test"):
            assert figures[name].pop("confusion_matrix") == summary[name].pop("confusion_matrix")
            assert figures[name] == pytest.approx(summary[name])

    def test_a_file_that_would_fill_the_memory_has_the_figures_of_one_that_does_not(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write()
        train(dlcli, "r", *STREAMED)
        file = ROOT / "data" / "penguins.csv"
        held = dlcli("evaluate", "r", file, "--json")
        monkeypatch.setattr(memory_estimate, "free_bytes", lambda: 100_000)
        monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
        streamed = dlcli("evaluate", "r", file, "--json")
        assert "metrics are accumulated block by block: the table would take" in streamed.err
        figures = [outcome.json["data"] for outcome in (held, streamed)]
        assert figures[0].pop("confusion_matrix") == figures[1].pop("confusion_matrix")
        assert figures[0].pop("roc_auc") == pytest.approx(figures[1].pop("roc_auc"), abs=1e-3)
        assert figures[0] == pytest.approx(figures[1], rel=1e-5)

    @pytest.mark.usefixtures("little_memory")
    def test_all_cells_that_do_not_fit_are_counted_in_whichever_block(
        self, dlcli: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write()
        train(dlcli, "r", "--set", "data.streaming=false")
        lines = (ROOT / "data" / "penguins.csv").read_text()
        Path("other.csv").write_text(lines.replace(",39.1,", ",?,").replace(",50.2,", ",?,"))
        held = lines.count(",39.1,") + lines.count(",50.2,")
        monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
        outcome = dlcli("evaluate", "r", "other.csv")
        assert outcome.code == 3
        assert "other.csv, line 2: column 'bill_length_mm' has '?'" in outcome.err
        assert f"and {held - 1} more such rows" in outcome.err

    @pytest.mark.usefixtures("little_memory")
    def test_a_class_that_training_never_saw_is_told_with_its_place(self, dlcli: Command) -> None:
        write()
        train(dlcli, "r", "--set", "data.streaming=false")
        lines = (ROOT / "data" / "penguins.csv").read_text().replace("Chinstrap", "Emperor")
        Path("other.csv").write_text(lines)
        outcome = dlcli("evaluate", "r", "other.csv")
        assert outcome.code == 3
        assert "other.csv, line 278: the class 'Emperor' of 'species' is not among" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_rows_are_encoded_ends_the_run_and_nothing_stays(number: int) -> None:
    loaded = load_config(write(), [STREAMED[1]])
    events = []
    with stop_signals() as received:
        for event in runs.train(prepare(loaded), run_dir=Path("r"), received=received):
            events.append(event)
            if len(events) == 1:
                assert isinstance(event, Reading)
                os.kill(os.getpid(), number)
    assert events[1:] == [StoppedBeforeTraining("sigint" if number == signal.SIGINT else "sigterm")]
    assert not Path("r").exists()


def test_on_a_terminal_a_line_moves_while_a_file_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reading() -> Generator[Reading, None, str]:
        for num_rows in (1000, 2000):
            yield Reading("statistics", "t.csv", num_rows, 0.5, is_over=num_rows == 2000)
        return "done"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("CI", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    screen = Terminal()
    assert (
        follow_reading(Console(file=screen, force_terminal=True, highlight=False), reading())
        == "done"
    )
    assert "t.csv for statistics: 1,000 rows" in screen.getvalue()
    assert "read t.csv for statistics: 2,000 rows in 0.5 s\n" in screen.getvalue()
