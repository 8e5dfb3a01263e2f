"""`dlcli validate`."""

import json
from typing import Any

from rich.markup import escape

from dlcli.cli.options import ConfigFile, Json, Overrides
from dlcli.cli.screen import emit, open_console
from dlcli.errors import ConfigError, DataError


def validate_command(config: ConfigFile, overrides: Overrides, as_json: Json = False) -> None:
    """Find every problem of a config at once, with the data that it names; nothing is trained."""
    from dlcli.config import open_config
    from dlcli.runs.preparation import prepare

    try:
        prepared = prepare(open_config(config, overrides))
    except (ConfigError, DataError) as error:
        if as_json:
            emit(json.dumps({"valid": False, "problems": _as_data(error)}))
        raise
    if as_json:
        emit(json.dumps({"valid": True, "problems": []}))
    console = open_console(to_stderr=as_json)
    for note in prepared.notes:
        console.print(f"  {escape(note)}")
    console.print(f"{escape(str(config))} can be trained", soft_wrap=True)


def _as_data(error: ConfigError | DataError) -> list[dict[str, Any]]:
    if isinstance(error, DataError):
        return [{"path": "data", "message": str(error)}]
    return [
        {
            "source": problem.place.source,
            "line": problem.place.line,
            "column": problem.place.column,
            "path": problem.path,
            "message": problem.message,
        }
        for problem in error.problems
    ]
