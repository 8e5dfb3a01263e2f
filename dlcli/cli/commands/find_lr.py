"""`dlcli find-lr`."""

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli.options import ConfigFile, Json, OnRay, Overrides, ResultsDir
from dlcli.cli.output import emit
from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from dlcli.runs.comparison.find_lr import (
        Event,
        RangeTestFinished,
        RangeTestStarted,
        RangeTestStopped,
    )


def find_lr_command(
    config: ConfigFile,
    overrides: Overrides,
    lowest: Annotated[
        float | None,
        typer.Option(
            min=1e-30, help="Lowest rate; default: four decades below the optimizer's default."
        ),
    ] = None,
    highest: Annotated[
        float | None,
        typer.Option(
            min=1e-30, help="Highest rate; default: four decades above the optimizer's default."
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=30, max=100_000, help="Steps from the lowest to the highest rate.")
    ] = 300,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of seeds, one network each.")
    ] = 5,
    run_dir: ResultsDir = None,
    ray: OnRay = None,
    as_json: Json = False,
) -> None:
    """Run a learning-rate range test and suggest a rate."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.runs.comparison.comparable import refuse_streamed
    from dlcli.runs.preparation import preparing

    console = open_console(to_stderr=as_json, may_vanish=True)
    loaded = open_config(config, overrides)
    prepared = follow_reading(console, preparing(loaded))
    refuse_streamed(loaded, prepared)
    follow_reading(console, prepared.dataset.decoding())
    # Imported here, as they import torch: a bad config is reported at once.
    from dlcli.cli.screens.cluster import open_ray
    from dlcli.runs.comparison.find_lr import Range, RangeTestStopped, find_lr

    wanted = Range(lowest, highest, steps, seeds)
    with (
        open_ray(console, ray, [prepared.config]) as backend,
        closing(find_lr(prepared, wanted, run_dir=run_dir, backend=backend)) as events,
    ):
        end = _follow(console, events)
        if isinstance(end, RangeTestStopped):
            console.print(f"stopped by {end.signal.upper()}; nothing was kept")
            raise typer.Exit(EXIT_CODES[end.signal])
        # Before the events are closed: until then no signal ends the process.
        command = _next_command(config, overrides, end)
        _show_end(console, end, command, has_png=prepared.config.report == "full")
        if as_json:
            emit(json.dumps({**end.document, "run_dir": str(end.folder.path)}, allow_nan=False))


def _follow(
    console: "Console", events: "Iterator[Event]"
) -> "RangeTestFinished | RangeTestStopped":
    from rich.progress import Progress

    from dlcli.cli.screens.terminal import can_redraw
    from dlcli.runs.comparison.find_lr import (
        RangeTestFinished,
        RangeTestStarted,
        RangeTestStep,
        RangeTestStopped,
    )

    with Progress(console=console, transient=True, disable=not can_redraw(console)) as progress:
        for event in events:
            match event:
                case RangeTestStarted():
                    _show_start(console, event)
                    task = progress.add_task("rates", total=event.num_steps)
                case RangeTestStep():
                    progress.update(task, completed=event.num_steps)
                case RangeTestFinished() | RangeTestStopped():
                    return event
    raise AssertionError("a test ends")


def _show_start(console: "Console", started: "RangeTestStarted") -> None:
    from rich.markup import escape

    optimizer, placement = started.prepared.config.optimizer, started.placement
    console.print(
        f"{optimizer.type}: rates from {started.lowest:g} to {started.highest:g} in "
        f"{started.num_steps} steps, on {len(started.seeds)} seeds; device "
        f"{placement.device}: {escape(placement.reason)}"
    )


def _next_command(config: Path, overrides: list[str], finished: "RangeTestFinished") -> str | None:
    """Return the command that trains what was tested with the suggested rate, if there is one."""
    lr = finished.reading.suggestion
    if lr is None:
        return None
    kept = [override for override in overrides if not override.startswith("optimizer.lr=")]
    changes = [*kept, f"optimizer.lr={lr:g}"]
    words = (word for change in changes for word in ("--set", change))
    return shlex.join(["dlcli", "train", str(config), *words])


def _show_end(
    console: "Console", finished: "RangeTestFinished", command: str | None, *, has_png: bool
) -> None:
    from dlcli.report.plots.range_test import draw_range

    reading = finished.reading
    optimizer = str(finished.document["optimizer"])
    picture = draw_range(finished.folder.path, reading, optimizer, has_png=has_png)
    lr = reading.suggestion
    said = "no suggestion" if lr is None else f"suggested learning rate: {lr:g}"
    console.print(f"[bold]{said}[/]: {reading.reason}", soft_wrap=True)
    console.print(f"picture: {picture}", markup=False, soft_wrap=True)
    if command is not None:
        console.print(f"next: {command}", markup=False, soft_wrap=True)
