"""What `dlcli train` shows: the start, each epoch, the end."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rich.console import Console

    from dlcli.data.stream import Reading
    from dlcli.runs.training.events import (
        StoppedBeforeTraining,
        TrainingEvent,
        TrainingFinished,
        TrainingStarted,
    )
    from dlcli.training.loop import StopReason


def follow_training(
    console: "Console", events: "Iterator[TrainingEvent]", *, smoke: bool
) -> "TrainingFinished":
    """Show a run as it goes on, until its end; typer.Exit where it is stopped before it starts."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import show_resumed, show_start
    from dlcli.runs.training.events import StoppedBeforeTraining

    started = follow_reading(console, _until_started(events))
    if isinstance(started, StoppedBeforeTraining):
        console.print(f"stopped by {started.signal.upper()} before training started")
        raise typer.Exit(EXIT_CODES[started.signal])
    show_start(console, started)
    if started.resumed is not None:
        show_resumed(console, started.resumed)
    try:
        finished = _follow_epochs(console, started, events)
        _show_end(console, started, finished, smoke=smoke)
    except KeyboardInterrupt:  # a second SIGINT
        complete = _completed(started)
        if complete is None:
            raise
        finished = complete
        if started.prepared.config.report is not False:
            show_complete_without_report(console, finished.folder.path, "SIGINT")
    return finished


def show_complete_without_report(console: "Console", run: Path, signal: str) -> None:
    """Say that a signal left a complete run without its page, and how to make that."""
    console.print(
        f"no report: {signal} came before it was done; the run is complete, make "
        f"the report with: dlcli report {shlex.quote(str(run))}",
        markup=False,
        soft_wrap=True,
    )


def _completed(started: "TrainingStarted") -> "TrainingFinished | None":
    """Return the end of a run, by its summary; None where that is not written yet."""
    from dlcli.runs.training.events import TrainingFinished

    try:
        summary = json.loads(started.folder.summary.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if summary["stop_reason"] in EXIT_CODES:
        return None
    return TrainingFinished(summary, started.folder, (), None)


def _follow_epochs(
    console: "Console", started: "TrainingStarted", events: "Iterator[TrainingEvent]"
) -> "TrainingFinished":
    """Show the steps and epochs of a run."""
    from dlcli.cli.screens.progress import open_progress
    from dlcli.runs.training.events import TrainingFinished
    from dlcli.training.loop import EpochResult, Progress

    with open_progress(
        console,
        num_epochs=started.prepared.config.training.epochs,
        rows_per_epoch=started.prepared.config.training.rows_per_epoch(
            started.prepared.dataset.num_rows["train"]
        ),
        first_epoch=started.resumed.epoch if started.resumed else 1,
        record=started.folder.metrics,
    ) as display:
        for event in events:
            match event:
                case Progress():
                    display.show_progress(event)
                case EpochResult():
                    display.show_epoch(event)
                    if event.without_value is not None:
                        console.print(
                            f"{event.without_value} has no value on the validation rows: their "
                            "loss is watched instead (training.early_stopping.metric)",
                            soft_wrap=True,
                        )
                case TrainingFinished():
                    finished = event
                case _:
                    raise AssertionError("a run starts once")
    return finished


def _until_started(
    events: "Iterator[TrainingEvent]",
) -> "Generator[Reading, None, TrainingStarted | StoppedBeforeTraining]":
    """Yield how far files are read; return whether training then starts or was stopped."""
    from dlcli.data.stream import Reading
    from dlcli.runs.training.events import StoppedBeforeTraining, TrainingStarted

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
    from dlcli.cli.screens.tables import (
        show_baselines,
        show_confusions,
        show_figures,
        show_labels,
    )
    from dlcli.runs.folder.run_folder import resume_command

    summary, folder = finished.summary, str(finished.folder.path)
    reasons: dict[StopReason, str] = {
        "epochs": "all epochs done",
        "early_stopping": "stopped early (no validation improvement)",
        "time": "time used up (training.max_seconds)",
        **{name: f"stopped by {name.upper()}" for name in EXIT_CODES},
    }
    reason, num_epochs = summary["stop_reason"], started.prepared.config.training.epochs
    of = f" of {num_epochs}" if reason == "time" else ""
    console.print(
        f"{reasons[reason]} after epoch {summary['epochs']}{of}; best epoch: "
        f"{summary['best_epoch']}; {summary['seconds']:.1f} s"
    )
    if reason == "time" and not summary["epochs"]:
        console.print("no epoch was finished: the best weights are those of the last step")
    parts = {name: summary[name] for name in ("validation", "test")}
    if any(parts.values()):
        show_figures(console, parts)
        show_baselines(console, parts)
    calibration = finished.calibration
    if calibration is not None and calibration.temperature is not None:
        console.print(calibration.sentence, markup=False, soft_wrap=True)
    show_confusions(console, summary["test"], started.prepared.dataset.fitted.target)
    show_labels(console, summary["test"] or {})
    if smoke:
        is_complete = reason not in EXIT_CODES
        console.print(f"{'every stage ran' if is_complete else 'stopped'}; nothing was left behind")
        return
    for note in finished.notes:
        console.print(note, markup=False, soft_wrap=True)
    data = shlex.join(finished.data)
    console.print(f"run: {folder}", markup=False, soft_wrap=True)
    if reason == "time" or reason in EXIT_CODES:
        command = resume_command(finished.folder)
        console.print(f"resume: {command}", markup=False, soft_wrap=True)
    command = f"dlcli predict {shlex.quote(folder)} {data} -o predictions.csv"
    console.print(f"next: {command}", markup=False, soft_wrap=True)
