"""`dlcli compare-optimizers`."""

import json
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli.options import Json, OnRay, Overrides, ResultsDir, as_in_shell
from dlcli.cli.output import emit
from dlcli.errors import ConfigError
from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from rich.console import Console

    from dlcli.runs.comparison.compare import ComparisonFinished
    from dlcli.runs.comparison.compare_several import AllFinished, AnyEvent


def compare_command(
    configs: Annotated[
        list[Path],
        typer.Argument(
            metavar="CONFIG...",
            callback=as_in_shell,
            help="One or more YAML configs; several give performance profiles.",
        ),
    ],
    overrides: Overrides,
    optimizers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Optimizers to compare: names from compare.optimizers, or sgd, momentum, "
            "nesterov, adam, …; default: compare.optimizers, or the usual ones.",
        ),
    ] = None,
    lrs: Annotated[
        str | None,
        typer.Option(
            metavar="LR,LR",
            help="Initial learning rates for every optimizer; default: five around each "
            "optimizer's default.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N", help="Number of seeds to judge each optimizer on; default: 10."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="LOSS",
            help="Validation loss that defines time-to-target; default: the median of what the "
            "optimizers reach.",
        ),
    ] = None,
    run_dir: ResultsDir = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume the comparison in --run-dir."),
    ] = False,
    ray: OnRay = None,
    as_json: Json = False,
) -> None:
    """Compare optimizers on a problem and test the differences."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.runs.comparison.comparable import preparing_comparison

    if resume and run_dir is None:
        raise ConfigError("--resume needs the folder of the comparison to resume: --run-dir DIR")
    given = _settings(lrs=lrs, seeds=seeds, target=target)
    names = None if optimizers is None else [name.strip() for name in optimizers.split(",")]
    console = open_console(to_stderr=as_json, may_vanish=True)
    comparables = [
        follow_reading(console, preparing_comparison(open_config(config, overrides, given), names))
        for config in configs
    ]
    # Imported here, as they import torch: a bad config is reported at once.
    from dlcli.cli.screens.cluster import open_ray
    from dlcli.runs.comparison.compare import compare
    from dlcli.runs.comparison.compare_several import compare_several

    configs_of_all = [comparable.prepared.config for comparable in comparables]
    with open_ray(console, ray, configs_of_all) as backend:
        if len(comparables) == 1:
            events: Iterator[AnyEvent] = compare(
                comparables[0], run_dir=run_dir, resume=resume, backend=backend
            )
        else:
            events = compare_several(comparables, run_dir=run_dir, resume=resume, backend=backend)
        document = _follow(console, events, ray)
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    if "stop_reason" in document:
        raise typer.Exit(EXIT_CODES[document["stop_reason"]])


def _settings(**options: str | None) -> dict[str, str]:
    """Return what given options set in the config's `compare`, by how they were typed."""
    return {
        f"--{name} {value}": f"compare.{name}={f'[{value}]' if name == 'lrs' else value}"
        for name, value in options.items()
        if value is not None
    }


def _follow(console: "Console", events: "Iterator[AnyEvent]", ray: str | None) -> dict[str, Any]:
    """Show what happens; return what --json prints."""
    from rich.markup import escape

    from dlcli.cli.screens.comparison_progress import ComparisonPicture
    from dlcli.cli.screens.comparison_tables import show_comparison_start
    from dlcli.cli.screens.stages import StageScreen, show_stopped
    from dlcli.runs.comparison.compare import ComparisonFinished, ComparisonStarted
    from dlcli.runs.comparison.compare_several import AllFinished, NextProblem
    from dlcli.runs.comparison.stages import Stopped

    document: dict[str, Any] = {}
    with StageScreen(console) as screen:
        for event in events:
            match event:
                case NextProblem():
                    console.rule(f"{event.number} of {event.num_problems}: {escape(event.name)}")
                case ComparisonStarted():
                    show_comparison_start(console, event)
                    screen.open(partial(ComparisonPicture, protocol=event.protocol))
                case ComparisonFinished():
                    screen.close()
                    document = _show_end(console, event)
                case Stopped():
                    screen.close()
                    document = show_stopped(console, event, "compare-optimizers", "runs", ray)
                case AllFinished():
                    document = _show_all(console, event)
                case _:
                    screen.show(event)
    return document


def _show_end(console: "Console", finished: "ComparisonFinished") -> dict[str, Any]:
    from dlcli.cli.screens.comparison_tables import show_comparison
    from dlcli.report.comparison.page import write_comparison_page
    from dlcli.trials.comparing.document import to_document

    comparison, folder = finished.comparison, finished.folder
    show_comparison(console, comparison)
    if finished.report is not None:
        page = write_comparison_page(folder.path, comparison, finished.paths)
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    console.print(f"next: dlcli train {shlex.quote(str(folder.recommended))}", soft_wrap=True)
    return {**to_document(comparison), "run_dir": str(folder.path)}


def _show_all(console: "Console", finished: "AllFinished") -> dict[str, Any]:
    from dlcli.cli.screens.comparison_tables import show_profiles
    from dlcli.report.comparison.page import write_profiles_page

    comparisons, folder = finished.comparisons, finished.folder
    show_profiles(console, comparisons, finished.profiles)
    if finished.report is not None:
        page = write_profiles_page(folder.path, comparisons, finished.profiles, finished.report)
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    return {**finished.document, "run_dir": str(folder.path)}
