"""`dlcli predict`."""

from pathlib import Path
from typing import Annotated

import typer

from dlcli.cli.options import Overrides
from dlcli.errors import ConfigError


def predict_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="A run folder or checkpoint; with --untrained, a config."
        ),
    ],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A .csv or .parquet file, or - for CSV on stdin.")
    ],
    overrides: Overrides,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A .csv or .parquet file, or - for CSV on stdout.")
    ] = Path("-"),
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Predict with CONFIG's untrained network.")
    ] = False,
) -> None:
    """Add predictions to the rows of a table."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import open_console
    from dlcli.config import open_config
    from dlcli.runs.predict import predict, trained_predictor, untrained_predictor
    from dlcli.runs.preparation import prepare

    if overrides and not untrained:
        raise ConfigError("--set: a trained run can't be changed; use --set with --untrained")
    if untrained:
        predictor = untrained_predictor(prepare(open_config(source, overrides)))
    else:
        predictor = trained_predictor(source)
    summary = predict(predictor, data, out)
    console = open_console(to_stderr=True)
    for unseen in summary.unseen.values():
        console.print(escape(str(unseen)))
    where = "standard output" if str(out) == "-" else escape(str(out))
    console.print(f"{summary.num_rows:,} rows predicted, to {where}")
