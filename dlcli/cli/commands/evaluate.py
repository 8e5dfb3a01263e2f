"""`dlcli evaluate`."""

import json
from typing import Annotated

import typer

from dlcli.cli.options import Json, Run, TextOverrides
from dlcli.cli.output import emit


def evaluate_command(
    run: Run,
    overrides: TextOverrides,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA...]",
            help="Rows, named as for `predict`; default: the run's validation and test rows.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute metrics with a run's best weights."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import open_console, show_figures
    from dlcli.config.text_options import text_settings
    from dlcli.runs.evaluate import evaluate_run
    from dlcli.tables.sources import as_setting

    said = text_settings(overrides).text_format
    figures, notes = evaluate_run(run, as_setting(data) if data else None, said=said)
    console = open_console(to_stderr=as_json)
    for note in notes:
        console.print(escape(note))
    show_figures(console, figures)
    if as_json:
        emit(json.dumps(figures, allow_nan=False))
