"""Printing errors: plain lines, or on a terminal with colour and the config line at fault."""

import linecache
import sys
from typing import TYPE_CHECKING

import typer

from dlcli.errors import ConfigError, DlcliError, Problem

if TYPE_CHECKING:
    from rich.console import Console


def show_error(error: DlcliError) -> None:
    """Print an error to standard error."""
    from dlcli.tables.databases.address import without_password

    if not sys.stderr.isatty():
        typer.echo(f"dlcli: {without_password(str(error))}", err=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if isinstance(error, ConfigError) and error.problems:
        for problem in error.problems:
            _show_problem(console, problem)
    else:
        console.print(
            Text.assemble(("dlcli: ", "bold red"), without_password(str(error))), soft_wrap=True
        )


def _show_problem(console: "Console", problem: Problem) -> None:
    from rich.text import Text

    from dlcli.tables.databases.address import without_password

    place = problem.place
    path = f"{problem.path}: " if problem.path else ""
    console.print(
        Text.assemble(
            (f"{without_password(str(place))}: ", "bold"), (path, "bold red"), problem.message
        ),
        soft_wrap=True,
    )
    line = linecache.getline(place.source, place.line).rstrip() if place.line else ""
    if line and place.column:
        console.print(Text(f"    {without_password(line)}", style="dim"), soft_wrap=True)
        console.print(Text(f"    {' ' * (place.column - 1)}^", style="bold red"), soft_wrap=True)
