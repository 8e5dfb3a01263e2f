"""`dlcli tune`."""

import json
import shlex
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli.options import ConfigFile, Json, OnRay, Overrides, ResultsDir
from dlcli.cli.output import emit
from dlcli.errors import ConfigError
from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from rich.console import Console

    from dlcli.runs.searching.tune import Event, SearchFinished


def tune_command(
    config: ConfigFile,
    overrides: Overrides,
    trials: Annotated[
        str | None,
        typer.Option(metavar="N", help="Number of different settings to try; default: 64."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="T", help="Longest time for the search, as 10m or 600; default: no limit."
        ),
    ] = None,
    run_dir: ResultsDir = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in --run-dir.")
    ] = False,
    ray: OnRay = None,
    as_json: Json = False,
) -> None:
    """Search settings: which learning rate, units, dropout, … suit a problem best."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.runs.searching.searchable import preparing_search

    if resume and run_dir is None:
        raise ConfigError("--resume needs the folder of the search to go on with: --run-dir DIR")
    given = {
        f"--{name} {value}": f"tune.{name}={value}"
        for name, value in (("trials", trials), ("time", time))
        if value is not None
    }
    console = open_console(to_stderr=as_json, may_vanish=True)
    loaded = open_config(config, overrides, given)
    searchable = follow_reading(console, preparing_search(loaded))
    # Imported here, as they import torch: a bad config is reported at once.
    from dlcli.cli.screens.cluster import open_ray
    from dlcli.runs.searching.tune import tune

    with open_ray(console, ray, [searchable.prepared.config]) as backend:
        events = tune(searchable, run_dir=run_dir, resume=resume, backend=backend)
        document = _follow(console, events, ray)
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    if "stop_reason" in document:
        raise typer.Exit(EXIT_CODES[document["stop_reason"]])


def _follow(console: "Console", events: "Iterator[Event]", ray: str | None) -> dict[str, Any]:
    """Show what happens; return what --json prints."""
    from dlcli.cli.screens.search_progress import SearchPicture
    from dlcli.cli.screens.search_tables import show_search_start
    from dlcli.cli.screens.stages import StageScreen, show_stopped
    from dlcli.runs.comparison.stages import Stopped
    from dlcli.runs.searching.tune import SearchFinished, SearchStarted

    document: dict[str, Any] = {}
    with StageScreen(console) as screen:
        for event in events:
            match event:
                case SearchStarted():
                    show_search_start(console, event)
                    screen.open(partial(SearchPicture, search=event.search))
                case SearchFinished():
                    screen.close()
                    document = _show_end(console, event)
                case Stopped():
                    screen.close()
                    document = show_stopped(console, event, "tune", "trials", ray)
                case _:
                    screen.show(event)
    return document


def _show_end(console: "Console", finished: "SearchFinished") -> dict[str, Any]:
    from dlcli.cli.screens.search_tables import show_findings
    from dlcli.report.search.page import write_search_page
    from dlcli.trials.searching.document import to_document

    findings, folder = finished.findings, finished.folder
    show_findings(console, findings)
    if finished.report is not None:
        page = write_search_page(folder.path, findings, finished.report)
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    best = shlex.quote(str(folder.best_config))
    console.print(f"next: dlcli train {best}", markup=False, soft_wrap=True)
    return {**to_document(findings), "run_dir": str(folder.path)}
