"""`dlcli train --folds`: cross-validation, and the ensemble of its networks."""

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

from dlcli.cli.output import emit
from dlcli.runs.training.signals import EXIT_CODES, stop_signals

if TYPE_CHECKING:
    from dlcli.cli.commands.training.request import Request
    from dlcli.config import LoadedConfig


def follow_folds(loaded: "LoadedConfig", request: "Request", stack: ExitStack) -> None:
    """Train the folds of a config and show what happens; typer.Exit with the code for the end."""
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console
    from dlcli.cli.warm_up import torch_imported_meanwhile
    from dlcli.runs.folds.preparation import preparing_folds
    from dlcli.runs.training.assertions import check_assertion, check_assertion_name
    from dlcli.tables.sources import bytes_of

    console = open_console(to_stderr=request.as_json, may_vanish=True)
    with torch_imported_meanwhile(bytes_of(loaded.config.data.path, loaded.folder)):
        folds = follow_reading(console, preparing_folds(loaded))
    for assertion in request.assertions:
        check_assertion_name(assertion, folds.first)
    # Imported here, because it imports torch: a bad config is reported before that.
    from dlcli.cli.screens.folds import FoldsScreen
    from dlcli.runs.comparison.stages import Stopped
    from dlcli.runs.folds.train import FoldsFinished, train_folds

    received = stack.enter_context(stop_signals())
    screen = FoldsScreen(console, folds)
    events = train_folds(
        folds,
        run_dir=request.run_dir,
        resume=request.resume,
        smoke=request.smoke,
        received=received,
    )
    document: dict[str, Any] = {}
    for event in events:
        screen.show(event)
        if isinstance(event, FoldsFinished):
            if not request.smoke and folds.config.report is not False:
                from dlcli.report.folds.page import write_folds_page

                page = write_folds_page(event.folder.path)
                console.print(f"report: {page}", markup=False, soft_wrap=True)
            where = None if request.smoke else str(event.folder.path)
            document = {**event.summary, "run_dir": where}
            screen.show_end(event, is_smoke=request.smoke)
        elif isinstance(event, Stopped):
            finished = {"finished_trials": event.num_finished, "run_dir": str(event.folder.path)}
            document = {"stop_reason": event.signal, **finished}
    if request.as_json:
        emit(json.dumps(document, allow_nan=False))
    if document["stop_reason"] in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[document["stop_reason"]])
    for assertion in request.assertions:
        check_assertion(assertion, document)
