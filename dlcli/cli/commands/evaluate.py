"""`dlcli evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dlcli.cli.options import Json, Run
from dlcli.cli.output import emit


def evaluate_command(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="A .csv or .parquet file; default: the run's validation and test rows.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute metrics with a run's best weights."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import open_console, show_figures
    from dlcli.runs.evaluate import evaluate_run

    figures, notes = evaluate_run(run, data)
    console = open_console(to_stderr=as_json)
    for note in notes:
        console.print(escape(note))
    show_figures(console, figures)
    if as_json:
        emit(json.dumps(figures, allow_nan=False))
