"""`dlcli init`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dlcli.cli.options import Data, TextOverrides, as_in_shell
from dlcli.cli.output import emit
from dlcli.errors import ConfigError
from dlcli.runs.drafting.effort import Effort


def init_command(
    data: Data,
    overrides: TextOverrides,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            help="The column to predict; of a folder of images, default: the folders' names.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            callback=as_in_shell,
            help="Config file to write; default: standard output.",
        ),
    ] = None,
    effort: Annotated[
        Effort,
        typer.Option(
            "--effort",
            help="How much training may take: quick, a small network, seconds; standard, RealMLP "
            "as an ensemble of folds, about a minute; best, a search of settings, about ten. Of "
            "images: smaller ones; a stack of convolutions; an ensemble of folds.",
        ),
    ] = "standard",
) -> None:
    """Write a commented config that trains well on a table, or on a folder of images."""
    from rich.markup import escape

    from dlcli.cli.screens.tables import open_console
    from dlcli.files import atomic_file
    from dlcli.runs.drafting.draft import draft_config
    from dlcli.tables.sources import as_setting

    if output is not None and output.exists():
        raise ConfigError(f"-o: {output} exists already; remove it, or name another file")
    folder = Path() if output is None else output.parent
    name = "config.yaml" if output is None else shlex.quote(str(output))
    path = as_setting(data)
    draft = draft_config(path, target, folder=folder, name=name, effort=effort, overrides=overrides)
    console = open_console(to_stderr=True)
    for finding in draft.findings:
        console.print(f"check: {escape(finding)}", soft_wrap=True)
    if output is None:
        emit(draft.text.removesuffix("\n"))
        return
    with atomic_file(output) as file:
        file.write(draft.text.encode())
    console.print(f"config: {escape(str(output))}", soft_wrap=True)
    console.print(f"effort: {effort}, {draft.outlook}", soft_wrap=True)
    console.print(f"next: dlcli {draft.command} {escape(name)}", soft_wrap=True)
