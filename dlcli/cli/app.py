"""The command-line app: registers the commands and turns errors into exit codes."""

import contextlib
import io
import sys
from typing import Annotated

import typer

from dlcli import __version__
from dlcli.cli.commands.compare import compare_command
from dlcli.cli.commands.describe import describe_command
from dlcli.cli.commands.evaluate import evaluate_command
from dlcli.cli.commands.find_lr import find_lr_command
from dlcli.cli.commands.init import init_command
from dlcli.cli.commands.plot import plot_app
from dlcli.cli.commands.predict import predict_command
from dlcli.cli.commands.report import report_command
from dlcli.cli.commands.schema import schema_command
from dlcli.cli.commands.train import train_command
from dlcli.cli.commands.tune import tune_command
from dlcli.cli.commands.validate import validate_command
from dlcli.cli.errors import show_error
from dlcli.cli.warm_up import shorten_spinning
from dlcli.errors import DlcliError, StorageError

app = typer.Typer(
    name="dlcli",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(
    "init", epilog="Example: dlcli init data/penguins.csv --target species -o penguins.yaml"
)(init_command)
app.command("train", epilog="Example: dlcli train configs/penguins.yaml --set seed=1")(
    train_command
)
app.command("evaluate", epilog="Example: dlcli evaluate runs/penguins/001")(evaluate_command)
app.command(
    "predict",
    epilog="Example: dlcli predict runs/penguins/001 data/penguins.csv -o predictions.csv",
)(predict_command)
app.command(
    "compare-optimizers",
    epilog="Example: dlcli compare-optimizers configs/moons.yaml --optimizers sgd,adam",
)(compare_command)
app.command("find-lr", epilog="Example: dlcli find-lr configs/moons.yaml")(find_lr_command)
app.command("tune", epilog="Example: dlcli tune configs/moons.yaml --trials 32")(tune_command)
app.command("report", epilog="Example: dlcli report runs/penguins/001")(report_command)
app.add_typer(plot_app, name="plot")
app.command("describe", epilog="Example: dlcli describe configs/digits.yaml")(describe_command)
app.command("validate", epilog="Example: dlcli validate configs/penguins.yaml")(validate_command)
app.command("schema", epilog="Example: dlcli schema > schema.json")(schema_command)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"dlcli {__version__}")
        raise typer.Exit


@app.callback()
def _dlcli(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Train neural networks from YAML configs."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; a traceback means a bug in dlcli (code 1)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a character that the screen lacks is not an error
    shorten_spinning()
    try:
        app(args=arguments)
    except SystemExit as end:  # how typer exits, usage errors and Ctrl-C included
        return end.code if isinstance(end.code, int) else 0
    except DlcliError as error:
        return _fail(error)
    except OSError as error:  # a disk or file system failing where it rarely does
        return _fail(StorageError(f"{error.filename or 'a file'}: {error.strerror or error}"))
    return 0


def _fail(error: DlcliError) -> int:
    with contextlib.suppress(OSError):  # standard error is closed
        show_error(error)
    return error.exit_code
