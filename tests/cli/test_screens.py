"""What a screen shows: colours, redrawing, and the lines of a log."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from dlcli.cli.commands.report import make_report
from dlcli.cli.screens.progress import open_progress
from dlcli.cli.screens.tables import open_console
from dlcli.cli.screens.terminal import can_redraw
from dlcli.runs.reporting.from_folder import collect_report_data, read_record
from dlcli.training.loop import EpochResult
from tests.cli.test_ends import WriteTable
from tests.conftest import Command, WriteConfig

CURSOR_UP = "\x1b[1A"


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        yield screen
    os.close(ours)


@pytest.mark.parametrize(
    ("asked", "redraws", "is_coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"CI": "false"}, True, True),
        ({"CI": "true"}, False, True),
        ({"CI": "1", "FORCE_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False, False),
        ({"TTY_INTERACTIVE": "0"}, False, True),
        # what Jupyter sets for a command behind `!`, on a terminal of its own
        ({"JPY_PARENT_PID": "7", "TERM": "xterm-color", "FORCE_COLOR": "1"}, False, True),
    ],
)
def test_colours_and_redrawing_are_two_questions(
    asked: dict[str, str],
    redraws: bool,
    is_coloured: bool,
    terminal: TextIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    console = Console(file=terminal)
    assert can_redraw(console) is redraws
    assert (console.color_system is not None and not console.no_color) is is_coloured


@pytest.mark.parametrize("name", [None, "FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_log_has_a_line_for_each_epoch_whatever_is_said_of_colours(
    name: str | None,
    dlcli: Command,
    table: WriteTable,
    write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if name is not None:
        monkeypatch.setenv(name, "1")
    rows = table("x,y", *[f"{n % 7},{n % 7 * 2.5}" for n in range(30)])
    layers = [{"type": "dense"}]
    config = write_config(rows, "y", model={"layers": layers}, training={"epochs": 12})
    outcome = dlcli("train", config, "--run-dir", "r")
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.out.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == [f"{epoch}/12" for epoch in range(1, 13)]
    assert all(line.endswith(" s") for line in lines)  # none is cut
    assert CURSOR_UP not in outcome.out
    assert ("\x1b[" in outcome.out) is (name is not None)
    stages = collect_report_data(read_record(Path("r")))
    make_report(open_console(to_stderr=False), Path("r"), stages, lambda: "sigterm", with_png=False)
    told = capfd.readouterr().out
    assert "no report: SIGTERM came" in told
    assert CURSOR_UP not in told


def show(epochs: Iterator[int], log: Path, *, best: tuple[int, ...]) -> list[str]:
    with (
        log.open("w") as file,
        open_progress(
            Console(file=file, highlight=False),
            num_epochs=100_000,
            rows_per_epoch=1,
            first_epoch=1,
            record=Path("runs/r/metrics.jsonl"),
        ) as display,
    ):
        for epoch in epochs:
            at = max((one for one in best if one <= epoch), default=1)
            display.show_epoch(
                EpochResult(epoch, 0.5, {"loss": 0.5}, 0.1, 1.0, 0.01, 1, epoch in best, at)
            )
    return [line.split("/")[0].removeprefix("epoch ") for line in log.read_text().splitlines()]


def test_of_thousands_of_epochs_a_log_shows_the_first_the_last_the_best_and_every_tenth() -> None:
    told = "from epoch 3,001 on, a line for every 10th epoch and the best one between; all epochs"
    shown = show(iter(range(2999, 3027)), Path("log"), best=(3004, 3006, 3020, 3022))
    assert shown[:2] == ["2999", "3000"]
    assert shown[2] == f"{told} are in runs"
    assert shown[3:] == ["3006", "3010", "3020", "3022", "3026"]
    assert "runs/r/metrics.jsonl" in Path("log").read_text()
    resumed = show(iter(range(5001, 5013)), Path("log"), best=())
    assert [line for line in resumed if line.isdigit()] == ["5001", "5010", "5012"]


def test_a_log_of_100_000_epochs_is_small() -> None:
    spread = [*range(1, 3002), *range(3010, 30_000, 10), *range(30_001, 100_001)]
    shown = show(iter(spread), Path("log"), best=(1,))
    told = [line.split(" epoch and")[0] for line in shown if line.startswith("from")]
    assert told == [
        "from epoch 3,001 on, a line for every 10th",
        "from epoch 30,001 on, a line for every 100th",
    ]
    assert shown[-2:] == ["99900", "100000"]
    assert len(shown) < 6500
    assert Path("log").stat().st_size < 1e6
