"""`dlcli evaluate`."""

import json
from typing import Annotated

import typer

from dlcli.cli.options import EvaluationOverrides, Json, Run, Strict, as_in_shell
from dlcli.cli.output import emit


def evaluate_command(
    run: Run,
    overrides: EvaluationOverrides,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA...]",
            callback=as_in_shell,
            help="Rows, named as for `predict`; default: the run's validation and test rows.",
        ),
    ] = None,
    is_strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compute metrics with a run's best weights."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import (
        open_console,
        show_baselines,
        show_figures,
        show_labels,
        show_unseen,
    )
    from dlcli.config.text_options import file_settings
    from dlcli.runs.evaluate import evaluate_run
    from dlcli.tables.sources import as_setting

    said = file_settings(overrides, also=["weight"])
    paths = as_setting(data) if data else None
    found = evaluate_run(run, paths, said=said, is_strict=is_strict)
    console = open_console(to_stderr=as_json)
    for note in found.notes:
        console.print(escape(note))
    show_unseen(console, found.unseen)
    show_figures(console, found.figures)
    show_baselines(console, found.figures)
    for figures in found.figures.values():
        show_labels(console, figures or {})
    if as_json:
        warnings = [cells.warning for cells in found.unseen if cells.are_most]
        more = {"warnings": warnings} if warnings else {}
        emit(json.dumps({**found.figures, **more}, allow_nan=False))
