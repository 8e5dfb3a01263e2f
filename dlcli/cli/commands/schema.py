"""`dlcli schema`."""

import json
from typing import Annotated

import typer

from dlcli.cli.output import emit


def schema_command(
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page in Markdown instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of configs, for editors."""
    from dlcli.config.reference import reference_page
    from dlcli.config.schema import json_schema

    if as_markdown:
        emit(reference_page().removesuffix("\n"))
    else:
        emit(json.dumps(json_schema(), indent=2, ensure_ascii=False))
