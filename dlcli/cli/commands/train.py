"""`dlcli train`."""

import importlib
import json
import os
import shlex
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli.commands.train_request import Request
from dlcli.cli.options import ConfigFile, Json, Overrides, as_in_shell
from dlcli.cli.output import emit
from dlcli.cli.processes import (
    one_of_several,
    refuse_problems,
    refuse_starting,
    run_several,
    said_once,
)
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
    from dlcli.training.processes.rank import Rank


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
    from dlcli.errors import ConfigError
    from dlcli.runs.training.assertions import parse_assertion
    from dlcli.training.processes.rank import rank_in

    rank = rank_in(os.environ)
    with said_once(rank):
        if rank is not None:
            refuse_starting(processes=processes, restarts=restarts)
        if smoke and restarts:
            raise ConfigError("--restarts: resumes the run of a folder; --smoke leaves none")
        if resume and (run_dir is None or smoke):
            raise ConfigError(
                "--resume: resumes the run of a folder; "
                + ("--smoke leaves none" if smoke else "name it: --run-dir runs/NAME/001")
            )
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
        _train_as(rank, request)
    elif processes == 1 and not restarts:
        loaded = _open(request, 1)
        with ExitStack() as stack:
            if loaded.config.folds is not None:
                from dlcli.cli.commands.train_folds import follow_folds

                follow_folds(loaded, request, stack)
                return
            finished, received = _train(request, stack)
            _conclude(request, finished, received)
    else:
        raise typer.Exit(_start(request, processes, restarts))


def _open(request: Request, num_processes: int) -> "LoadedConfig":
    """Read the config; what it leaves open is as in the run that is resumed.

    Raises ConfigError where several processes would share folds.
    """
    from dlcli.config import open_config
    from dlcli.runs.folder.run_folder import with_shards, with_streaming_of_run

    loaded = open_config(request.config, list(request.overrides), request.options)
    if num_processes > 1:
        _refuse_folds(loaded, "the cores of one machine train folds side by side, one process each")
    if request.resumed is not None:
        loaded = with_streaming_of_run(loaded, request.resumed)
    return with_shards(loaded, num_processes, request.resumed)


def _refuse_folds(loaded: "LoadedConfig", why: str) -> None:
    """Raise ConfigError for folds, which are trained by one call on one machine."""
    if loaded.config.folds is not None:
        raise loaded.error(
            ("folds",), f"{why}: train without --processes and --restarts, and not under torchrun"
        )


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
    given = [("model", "layers", *path) for path in initial_weights(config.model.layers)]
    without = [f"{format_path(path)}=null" for path in given]  # weights begin as one of them says
    changes = [*request.overrides, *without, f"model.start_from={start}"]
    words = ["dlcli", "train", str(request.config), "--run-dir", str(new)]
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])


def _train(
    request: Request, stack: ExitStack, group: "Group | None" = None
) -> "tuple[TrainingFinished, Received]":
    """Train, by itself or as one of a group of processes; only the first of these prints.

    From where training starts until the stack is closed, no signal ends the process; the function
    that is returned tells of the first one.
    """
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.cli.screens.training import follow_training
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

    resumed = find_resumed() if group is None else group.together(find_resumed)[0]

    def prepare() -> "Prepared":
        loaded = _open(request, 1 if group is None else group.num_processes)
        max_blocks = SMOKE_BLOCKS if request.smoke else None
        num_bytes = bytes_of(loaded.config.data.path, loaded.folder)
        with torch_imported_meanwhile(num_bytes):
            reading = preparing(
                loaded,
                max_blocks=max_blocks,
                resumed=resumed,
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


def _conclude(request: Request, finished: "TrainingFinished", received: "Received") -> None:
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


def _train_as(rank: "Rank", request: Request) -> None:
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
            finished, received = _train(request, stack, group)
        if group.is_first:
            _conclude(request, finished, received)
        elif finished.stop_reason in EXIT_CODES:
            raise typer.Exit(EXIT_CODES[finished.stop_reason])


def _start(request: Request, num_processes: int, restarts: int) -> int:
    """Start processes that train, again while they get lost; return the exit code."""
    from dlcli.runs.folder.run_folder import RunFolder, make_run_folder, resume_command

    loaded = _open(request, num_processes)
    refuse_problems(loaded)
    _refuse_folds(loaded, "finished folds are kept, and --resume does what is missing")
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
