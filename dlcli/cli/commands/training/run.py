"""A run of `dlcli train`: from its config to its page."""

import json
import os
import shlex
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dlcli.cli.commands.training.request import Request, open_requested
from dlcli.cli.output import emit
from dlcli.cli.warm_up import torch_imported_meanwhile
from dlcli.runs.training.signals import EXIT_CODES, stop_signals

if TYPE_CHECKING:
    from dlcli.config import Config, LoadedConfig
    from dlcli.data.kept_rows import KeptParts
    from dlcli.runs.preparation import Prepared
    from dlcli.runs.starting import Origin
    from dlcli.runs.training.events import TrainingFinished
    from dlcli.runs.training.signals import Received
    from dlcli.training.processes.group import Group


def train_run(
    request: Request, stack: ExitStack, group: "Group | None" = None
) -> "tuple[TrainingFinished, Received]":
    """Train, by itself or as one of a group of processes; only the first of these prints.

    From where training starts until the stack is closed, no signal ends the process; the function
    that is returned tells of the first one.
    """
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.cli.screens.training import follow_training
    from dlcli.runs.folder.run_folder import RunFolder
    from dlcli.runs.preparation import preparing
    from dlcli.runs.starting import resumed_origin
    from dlcli.runs.training.assertions import check_assertion_name
    from dlcli.runs.training.smoke import SMOKE_BLOCKS
    from dlcli.tables.sources import bytes_of

    is_first = group is None or group.is_first
    console = open_console(to_stderr=request.as_json, may_vanish=True, is_silent=not is_first)

    def find_resumed() -> "Origin | None":
        folder = request.resumed if is_first else None
        return None if folder is None else resumed_origin(folder)

    saved = None if request.resumed is None else RunFolder(request.resumed).last
    resumed = find_resumed() if group is None else group.together(find_resumed)[0]

    def prepare() -> "Prepared":
        loaded = open_requested(request, 1 if group is None else group.num_processes)
        max_blocks = SMOKE_BLOCKS if request.smoke else None
        num_bytes = bytes_of(loaded.config.data.path, loaded.folder)
        with torch_imported_meanwhile(num_bytes):
            reading = preparing(
                loaded,
                max_blocks=max_blocks,
                resumed=resumed,
                has_weights=saved is not None and saved.is_file(),
                kept=_kept_parts(loaded) if is_first and not request.smoke else "none",
            )
            prepared = follow_reading(console, reading)
        for assertion in request.assertions:
            check_assertion_name(assertion, prepared)
        return prepared

    if group is None:
        prepared = prepare()
    else:
        from dlcli.runs.training.agreement import prepare_alike

        prepared = prepare_alike(group, prepare)
    # Imported here, because it imports torch: a bad config is reported before that.
    from dlcli.runs.training.train import train
    from dlcli.training.processes.group import ALONE

    received = stack.enter_context(stop_signals())
    events = train(
        prepared,
        run_dir=request.run_dir,
        smoke=request.smoke,
        resume=request.resume,
        go_on=None
        if request.resumed is None
        else _new_run(request, request.resumed, prepared.config),
        group=group or ALONE,
        received=received,
    )
    return follow_training(console, events, smoke=request.smoke), received


def conclude_run(request: Request, finished: "TrainingFinished", received: "Received") -> None:
    """Make the page, print what is requested, and exit with the code for how training ended."""
    from dlcli.runs.training.assertions import check_assertion

    summary, stop_reason = finished.summary, finished.stop_reason
    # The run is complete: a signal, even a second SIGINT, ends only the work on its page.
    baselines = None
    if finished.material is not None:
        with suppress(KeyboardInterrupt):
            baselines = _make_page(request, finished, received)
    if request.as_json:
        where = None if request.smoke else str(finished.folder.path)
        document = {**summary, "baselines": baselines, "run_dir": where}
        emit(json.dumps(document, allow_nan=False))
    if stop_reason in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[stop_reason])
    for assertion in request.assertions:
        check_assertion(assertion, summary)


def _make_page(
    request: Request, finished: "TrainingFinished", received: "Received"
) -> dict[str, Any] | None:
    """Make the page, and return the metrics beside baselines that it shows."""
    from dlcli.cli.commands.report import baselines_of, make_report
    from dlcli.cli.screens.tables import open_console
    from dlcli.runs.reporting.finished_run import collect_from_memory

    assert finished.material is not None, "a report is wanted"
    stages = collect_from_memory(finished.material, finished.folder, finished.summary)
    console = open_console(to_stderr=request.as_json, may_vanish=True)
    is_full = finished.material.kind == "full"
    report = make_report(
        console, finished.folder.path, stages, received, with_png=is_full, is_full=is_full
    )
    return baselines_of(report)


def _kept_parts(loaded: "LoadedConfig") -> "KeptParts":
    """Return the parts whose rows the report shows as they are in their files."""
    match loaded.config.report:
        case "quick":
            return "judged"
        case "full":
            return "all"
        case _:
            return "none"


def _new_run(request: Request, folder: Path, config: "Config") -> str:
    """Return the command for a new run that begins with the weights of the one in a folder."""
    from dlcli.config.text.parsing import format_path
    from dlcli.layers.weights import initial_weights
    from dlcli.runs.folder.run_folder import RunFolder

    number, folder = 2, folder if folder.name.strip(".") else folder.resolve()
    while (new := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    run = RunFolder(folder)
    best = folder if run.best.exists() else run.last  # no epoch is done yet
    start = os.path.relpath(best, request.config.parent)
    given = initial_weights(config.model.walk())
    without = [f"{format_path(path)}=null" for path in given]  # weights begin as one of them says
    changes = [*request.overrides, *without, f"model.start_from={start}"]
    words = ["dlcli", "train", str(request.config), "--run-dir", str(new)]
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])
