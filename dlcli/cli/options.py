"""Arguments and options that commands share."""

from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from dlcli.errors import ConfigError

Given = TypeVar("Given")


def as_in_shell(parameter: typer.CallbackParam, given: Given) -> Given:
    """Return a path, or several, with `~` and variables replaced; ConfigError names the option."""
    from dlcli.config.text.paths import expand_path

    if isinstance(given, list | tuple):
        return cast("Given", type(given)(as_in_shell(parameter, item) for item in given))
    if not isinstance(given, str | Path):
        return given
    try:
        return type(given)(expand_path(str(given), Path()))
    except ConfigError as error:
        name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        raise ConfigError(f"{name}: {error}") from None


ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", callback=as_in_shell, help="The YAML config.")
]
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", callback=as_in_shell, help="A run folder, or a checkpoint file in one."
    ),
]
Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        callback=as_in_shell,
        help="The rows: a file (CSV, JSON Lines, Parquet, Arrow, …), several, a quoted pattern, a "
        "folder of parts, or - for standard input.",
    ),
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a config value, as in training.batch_size=64; read as YAML. Repeatable.",
        default_factory=list,
        show_default=False,
    ),
]
TextOverrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How DATA is written, if it is a text file and that is not recognised, as in "
        "data.decimal=',' or data.header=false. Repeatable.",
        default_factory=list,
        show_default=False,
    ),
]
EvaluationOverrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How DATA is written, as for `predict`; or a column that says how much each row "
        "counts, data.weight=COLUMN, null for none. Repeatable.",
        default_factory=list,
        show_default=False,
    ),
]
ResultsDir = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        callback=as_in_shell,
        help="Folder for the results; default: the next in runs/NAME/.",
    ),
]
OnRay = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS|local",
        help="Train on a Ray cluster, HOST:PORT, or on a Ray instance that is started on this "
        "machine and ended; needs dlcli[ray].",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse data with a column that holds almost nothing that training saw, which is a "
        "warning otherwise.",
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object; everything else goes to standard error."),
]
