"""`dlcli train`."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli.options import ConfigFile, Json, Overrides
from dlcli.cli.output import emit
from dlcli.cli.warm_up import torch_imported_meanwhile
from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rich.console import Console

    from dlcli.data.stream import Reading
    from dlcli.runs.training.train import (
        StoppedBeforeTraining,
        TrainingEvent,
        TrainingFinished,
        TrainingStarted,
    )


def train_command(
    config: ConfigFile,
    overrides: Overrides,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir", help="Run folder; default: the next free one, as in runs/NAME/001."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume the run in --run-dir from its last checkpoint."),
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Run every stage on a few batches and leave nothing behind."),
    ] = False,
    as_json: Json = False,
    asserted: Annotated[
        list[str] | None,
        typer.Option(
            "--assert",
            metavar="EXPR",
            help="Exit with code 8 unless this holds: 'test.accuracy >= 0.9'. Repeatable.",
        ),
    ] = None,
) -> None:
    """Train a network and evaluate it on unseen rows."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.errors import ConfigError
    from dlcli.runs.folder.run_folder import with_streaming_of_run
    from dlcli.runs.preparation import preparing
    from dlcli.runs.training.assertions import (
        check_assertion,
        check_assertion_name,
        parse_assertion,
    )
    from dlcli.runs.training.smoke import SMOKE_BLOCKS

    if resume and (run_dir is None or smoke):
        raise ConfigError(
            "--resume: resumes the run of a folder; "
            + ("--smoke leaves none" if smoke else "name it: --run-dir runs/NAME/001")
        )
    assertions = [parse_assertion(text) for text in asserted or []]
    console = open_console(to_stderr=as_json, may_vanish=True)
    loaded = open_config(config, overrides)
    if resume and run_dir is not None:
        loaded = with_streaming_of_run(loaded, run_dir)
    max_blocks = SMOKE_BLOCKS if smoke else None
    with torch_imported_meanwhile(loaded.folder / loaded.config.data.path):
        prepared = follow_reading(console, preparing(loaded, max_blocks=max_blocks))
    for assertion in assertions:
        check_assertion_name(assertion, prepared)
    # Imported here, because they import torch: a bad config is reported before that.
    from dlcli.cli.commands.report import make_report
    from dlcli.runs.report_data import read_record
    from dlcli.runs.training.train import train

    events = train(prepared, run_dir=run_dir, smoke=smoke, resume=resume)
    finished = _follow(console, events, smoke=smoke)
    summary = finished.summary
    if prepared.config.report and not smoke and summary["stop_reason"] not in EXIT_CODES:
        make_report(console, read_record(finished.folder.path))
    if as_json:
        where = None if smoke else str(finished.folder.path)
        emit(json.dumps({**summary, "run_dir": where}, allow_nan=False))
    if summary["stop_reason"] in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[summary["stop_reason"]])
    for assertion in assertions:
        check_assertion(assertion, summary)


def _follow(
    console: "Console", events: "Iterator[TrainingEvent]", *, smoke: bool
) -> "TrainingFinished":
    from dlcli.cli.screens.progress import follow_reading, open_progress
    from dlcli.cli.screens.tables import show_resumed, show_start
    from dlcli.runs.training.train import StoppedBeforeTraining, TrainingFinished
    from dlcli.training.loop import EpochResult, Progress

    started = follow_reading(console, _until_started(events))
    if isinstance(started, StoppedBeforeTraining):
        console.print(f"stopped by {started.signal.upper()} before training started")
        raise typer.Exit(EXIT_CODES[started.signal])
    show_start(console, started)
    if started.resumed is not None:
        show_resumed(console, started.resumed)
    with open_progress(
        console,
        num_epochs=started.prepared.config.training.epochs,
        rows_per_epoch=started.prepared.dataset.num_rows["train"],
        first_epoch=started.resumed.epoch if started.resumed else 1,
    ) as display:
        for event in events:
            match event:
                case Progress():
                    display.show_progress(event)
                case EpochResult():
                    display.show_epoch(event)
                case TrainingFinished():
                    finished = event
                case _:
                    raise AssertionError("a run starts once")
    _show_end(console, started, finished, smoke=smoke)
    return finished


def _until_started(
    events: "Iterator[TrainingEvent]",
) -> "Generator[Reading, None, TrainingStarted | StoppedBeforeTraining]":
    """Yield how far files are read; return whether training then starts or was stopped."""
    from dlcli.data.stream import Reading
    from dlcli.runs.training.train import StoppedBeforeTraining, TrainingStarted

    for event in events:
        if isinstance(event, Reading):
            yield event
        else:
            assert isinstance(event, TrainingStarted | StoppedBeforeTraining)
            return event
    raise AssertionError("a run starts")


def _show_end(
    console: "Console", started: "TrainingStarted", finished: "TrainingFinished", *, smoke: bool
) -> None:
    from dlcli.cli.screens.tables import show_confusion, show_figures
    from dlcli.runs.folder.run_folder import resume_command

    summary, folder = finished.summary, str(finished.folder.path)
    reasons = {
        "epochs": "all epochs done",
        "early_stopping": "stopped early (no validation improvement)",
        "sigint": "stopped by SIGINT",
        "sigterm": "stopped by SIGTERM",
    }
    console.print(
        f"{reasons[summary['stop_reason']]} after epoch {summary['epochs']}; best epoch: "
        f"{summary['best_epoch']}; {summary['seconds']:.1f} s"
    )
    parts = {name: summary[name] for name in ("validation", "test")}
    if any(parts.values()):
        show_figures(console, parts)
    matrix = (summary["test"] or {}).get("confusion_matrix")
    if matrix is not None:
        target = started.prepared.dataset.fitted.target
        show_confusion(console, matrix, target.class_names)
    if smoke:
        is_complete = summary["stop_reason"] not in EXIT_CODES
        console.print(f"{'every stage ran' if is_complete else 'stopped'}; nothing was left behind")
        return
    for note in finished.notes:
        console.print(note, markup=False, soft_wrap=True)
    data = shlex.quote(os.path.normpath(finished.data))
    console.print(f"run: {folder}", markup=False, soft_wrap=True)
    if summary["stop_reason"] in EXIT_CODES:
        command = resume_command(finished.folder)
        console.print(f"resume: {command}", markup=False, soft_wrap=True)
    command = f"dlcli predict {shlex.quote(folder)} {data} -o predictions.csv"
    console.print(f"next: {command}", markup=False, soft_wrap=True)
