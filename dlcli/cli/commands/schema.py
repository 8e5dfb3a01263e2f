"""`dlcli schema`."""

import json
from typing import Annotated

import typer

from dlcli.cli.output import emit


def schema_command(
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page in Markdown instead.")
    ] = False,
    with_combinations: Annotated[
        bool,
        typer.Option(
            "--combinations",
            help="Print the table of settings that undo each other, in Markdown, instead.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of configs, for editors."""
    from dlcli.config.reference import reference_page
    from dlcli.config.schema import json_schema

    if with_combinations:
        from dlcli.runs.combinations.registry import combinations_page

        emit(combinations_page())
    elif as_markdown:
        emit(reference_page().removesuffix("\n"))
    else:
        emit(json.dumps(json_schema(), indent=2, ensure_ascii=False))
