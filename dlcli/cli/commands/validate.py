"""`dlcli validate`."""

import json
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from dlcli.cli.options import ConfigFile, Json, Overrides
from dlcli.cli.output import emit
from dlcli.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dlcli.data.dataset import Dataset
    from dlcli.data.stream import Reading

Result = TypeVar("Result")


def validate_command(config: ConfigFile, overrides: Overrides, as_json: Json = False) -> None:
    """Report every problem of a config and its data at once, without training."""
    from dlcli.config import open_config
    from dlcli.runs.preparation import preparing

    try:
        loaded = open_config(config, overrides)
        if loaded.config.folds is not None:
            from dlcli.runs.folds.preparation import preparing_folds

            prepared = _shown(preparing_folds(loaded)).first
        else:
            prepared = _shown(preparing(loaded))
    except (ConfigError, DataError) as error:
        if as_json:
            emit(json.dumps({"valid": False, "problems": _as_data(error)}))
        raise
    inferred = [*_columns(prepared.dataset), *prepared.notes]
    text = "\n".join([*(f"  {line}" for line in inferred), f"{config} can be trained"])
    if as_json:
        emit(json.dumps({"valid": True, "problems": []}))
        typer.echo(text, err=True)
    else:
        emit(text)


def _shown(reading: "Generator[Reading, None, Result]") -> "Result":
    """Read, and show how far that is on a terminal; only then is rich imported."""
    try:
        first = next(reading)
    except StopIteration as end:  # the rows were read at once
        result: Result = end.value
        return result
    from dlcli.cli.screens.progress import follow_reading
    from dlcli.cli.screens.tables import open_console

    def from_the_first() -> "Generator[Reading, None, Result]":
        yield first
        return (yield from reading)

    console = open_console(to_stderr=True, may_vanish=True)
    return follow_reading(console, from_the_first(), lasting=False)


def _columns(dataset: "Dataset") -> "Iterator[str]":
    """Yield a line for each kind of column, and lines on those that are left out."""
    from dlcli.data.checks import describe_left_out

    kinds: dict[str, list[str]] = {}
    for column in dataset.columns:
        if column.kind is not None:
            kinds.setdefault(column.kind, []).append(column.name)
    yield from describe_left_out(
        {column.name: column.reason for column in dataset.columns if column.kind is None}
    )
    for kind, names in kinds.items():
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        yield f"{kind}: {', '.join(names[:8])}{more} (data.kinds)"


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
