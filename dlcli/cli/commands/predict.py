"""`dlcli predict`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli.options import Data, Overrides, Strict, as_in_shell
from dlcli.cli.output import emit
from dlcli.columns.bad_cells import BadRows
from dlcli.errors import ConfigError, counted

if TYPE_CHECKING:
    from dlcli.runs.predict import PredictionSummary


def predict_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            callback=as_in_shell,
            help="A run folder or checkpoint; with --untrained, a config.",
        ),
    ],
    data: Data,
    overrides: Overrides,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            callback=as_in_shell,
            help="A .csv or .parquet file, or - for CSV on stdout.",
        ),
    ] = Path("-"),
    bad_rows: Annotated[
        BadRows,
        typer.Option(
            "--bad-rows",
            help="A cell that can't be what its column is: refuse it; take it as missing; or skip "
            "its row, which is written without a prediction.",
        ),
    ] = "refuse",
    is_strict: Strict = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object about the rows; needs -o FILE.")
    ] = False,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Predict with CONFIG's untrained network.")
    ] = False,
) -> None:
    """Add predictions to the rows of a table."""
    from dlcli.config import open_config
    from dlcli.config.text_options import file_settings, names_file_key
    from dlcli.runs.predict import predict, trained_predictor, untrained_predictor
    from dlcli.runs.preparation import prepare
    from dlcli.runs.unused_settings import refuse_unused_options
    from dlcli.tables.sources import as_setting, find_source

    if as_json and str(out) == "-":
        raise ConfigError("--json: the predictions go to standard output; name a file with -o")
    if untrained:
        said = file_settings([item for item in overrides if names_file_key(item)])
        predictor = untrained_predictor(prepare(open_config(source, overrides)))
    else:
        said = file_settings(overrides)
        predictor = trained_predictor(source)
    named = find_source(as_setting(data), selection=said.selection.over(predictor.selection))
    if not untrained:  # otherwise they are of the config's files
        refuse_unused_options(said, named)
    summary = predict(
        predictor, named, out, bad_rows=bad_rows, said=said.text_format, is_strict=is_strict
    )
    _show_summary(summary, out)
    if as_json:
        emit(json.dumps({"out": str(out), **summary.as_document()}, allow_nan=False))


def _show_summary(summary: "PredictionSummary", out: Path) -> None:
    """Show what was found in the rows, and how many were predicted."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import open_console, show_unseen

    console = open_console(to_stderr=True)
    for note in summary.notes:
        console.print(escape(note), soft_wrap=True)
    for bad in summary.bad.values():
        console.print(escape(str(bad)), soft_wrap=True)
    few = [cells for cells in summary.unseen.values() if not cells.are_most]
    show_unseen(console, [*few, *summary.warnings])
    where = "standard output" if str(out) == "-" else escape(str(out))
    rows = f"{counted(summary.num_rows, 'row')} predicted"
    if summary.num_empty:
        rows = f"{summary.num_rows - summary.num_empty:,} of {rows}, the others left empty"
    console.print(f"{rows}, to {where}", soft_wrap=True)
