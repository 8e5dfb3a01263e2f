"""A run of `dlcli train` on several processes: being one of them, and starting all of them."""

import importlib
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from dlcli.cli.commands.training.request import Request, open_requested, refuse_folds
from dlcli.cli.commands.training.run import conclude_run, train_run
from dlcli.cli.processes import one_of_several, refuse_problems, run_several, said_once
from dlcli.runs.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from dlcli.training.processes.rank import Rank


def train_as(rank: "Rank", request: Request) -> None:
    """Train as one of several processes, of which the first one prints and writes."""
    from dlcli.errors import ConfigError

    if rank.attempt and not request.smoke:
        with said_once(rank):
            if request.run_dir is None:
                raise ConfigError(
                    "started again by its agent: name the run's folder with --run-dir"
                )
        request = replace(request, resume=True)
    with ExitStack() as stack:
        with one_of_several(rank) as group:
            finished, received = train_run(request, stack, group)
        if group.is_first:
            conclude_run(request, finished, received)
        elif finished.stop_reason in EXIT_CODES:
            raise typer.Exit(EXIT_CODES[finished.stop_reason])


def start_processes(request: Request, num_processes: int, restarts: int) -> int:
    """Start processes that train, again while they get lost; return the exit code."""
    from dlcli.runs.folder.run_folder import RunFolder, make_run_folder, resume_command

    loaded = open_requested(request, num_processes)
    refuse_problems(loaded)
    refuse_folds(loaded, "finished folds are kept, and --resume does what is missing")
    # It imports torch, which takes seconds, in which SIGINT would leave an empty folder.
    importlib.import_module("dlcli.training.processes.launch")
    named, folder = request.run_dir, None
    was_there = named is not None and named.is_dir()
    if not request.smoke:
        folder = RunFolder(named) if named else make_run_folder(None, loaded.config.name)
    command = ["train", str(request.config)]
    command += [item for override in request.overrides for item in ("--set", override)]
    command += ["--smoke"] * request.smoke + ["--json"] * request.as_json
    for assertion in request.assertions:
        command += ["--assert", str(assertion)]
    if folder is not None:
        command += ["--run-dir", str(folder.path)]
    is_resumed = request.resume
    while True:
        ended = run_several([*command, *["--resume"] * is_resumed], num_processes)
        if not ended.is_lost or not restarts or folder is None:
            break
        restarts -= 1
        is_resumed = True
        typer.echo(f"dlcli: starting again, {restarts} restarts left", err=True)
    if folder is not None:
        if ended.is_lost and folder.holds_work:
            typer.echo(f"resume: {resume_command(folder)} --processes {num_processes}", err=True)
        if not was_there:
            with suppress(OSError):  # it holds something
                folder.path.rmdir()
    return ended.exit_code
