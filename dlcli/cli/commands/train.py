"""`dlcli train`."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from dlcli.cli.commands.training.processes import start_processes, train_as
from dlcli.cli.commands.training.request import Request, open_requested
from dlcli.cli.commands.training.run import conclude_run, train_run
from dlcli.cli.options import ConfigFile, Json, Overrides, as_in_shell
from dlcli.cli.processes import refuse_starting, said_once


def train_command(
    config: ConfigFile,
    overrides: Overrides,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            callback=as_in_shell,
            help="Run folder; default: the next free one, as in runs/NAME/001.",
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
    processes: Annotated[
        int,
        typer.Option("--processes", min=1, help="Processes on this machine that share each batch."),
    ] = 1,
    restarts: Annotated[
        int,
        typer.Option(
            "--restarts", min=0, help="Resume so many times by itself when a process is lost."
        ),
    ] = 0,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            metavar="K",
            help="Cross-validate: train a network for each of K folds, an ensemble of them all.",
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", metavar="R", help="Cut the folds anew R times; default: once."),
    ] = None,
) -> None:
    """Train a network, or an ensemble by cross-validation, and evaluate it on unseen rows."""
    from dlcli.runs.training.assertions import parse_assertion
    from dlcli.training.processes.rank import rank_in

    rank = rank_in(os.environ)
    with said_once(rank):
        if rank is not None:
            refuse_starting(processes=processes, restarts=restarts)
        _check_options(run_dir, resume=resume, smoke=smoke, restarts=restarts)
        assertions = tuple(map(parse_assertion, asserted or []))
    options = {
        f"--{name} {value}": f"folds.{name}={value}"
        for name, value in (("folds", folds), ("repeats", repeats))
        if value is not None
    }
    request = Request(
        config, tuple(overrides or ()), run_dir, resume, smoke, as_json, assertions, options
    )
    if rank is not None or processes > 1:  # torch is not imported yet
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # who is gone is said here
    if rank is not None:
        train_as(rank, request)
    elif processes > 1 or restarts:
        raise typer.Exit(start_processes(request, processes, restarts))
    else:
        _train_here(request)


def _check_options(run_dir: Path | None, *, resume: bool, smoke: bool, restarts: int) -> None:
    """Raise ConfigError for options that exclude each other."""
    from dlcli.errors import ConfigError

    if smoke and restarts:
        raise ConfigError("--restarts: resumes the run of a folder; --smoke leaves none")
    if resume and (run_dir is None or smoke):
        raise ConfigError(
            "--resume: resumes the run of a folder; "
            + ("--smoke leaves none" if smoke else "name it: --run-dir runs/NAME/001")
        )


def _train_here(request: Request) -> None:
    """Train a run, or folds, in this process."""
    loaded = open_requested(request, 1)
    with ExitStack() as stack:
        if loaded.config.folds is None:
            finished, received = train_run(request, stack)
            conclude_run(request, finished, received)
        else:
            from dlcli.cli.commands.training.folds import follow_folds

            follow_folds(loaded, request, stack)
