"""The files that a search leaves in its folder besides its finished trials."""

import json
import statistics

import polars as pl

from dlcli.config import dump_config
from dlcli.config.loading import change_config
from dlcli.config.sections.tune import TuneConfig
from dlcli.files import atomic_file
from dlcli.runs.folder.run_folder import RunFolder, move_paths
from dlcli.runs.preparation import Prepared, prepare
from dlcli.trials.searching.document import to_document
from dlcli.trials.searching.findings import Findings
from dlcli.trials.searching.verdict_text import describe_findings

_MAX_NAME = 100  # characters


def write_search(folder: RunFolder, found: Findings, prepared: Prepared) -> None:
    """Write the results, the table of trials and a config with the best settings; StorageError."""
    with atomic_file(folder.search) as file:
        file.write(json.dumps(to_document(found), indent=2, allow_nan=False).encode() + b"\n")
    with atomic_file(folder.trials) as file:
        _table(found).write_csv(file)
    with atomic_file(folder.best_config) as file:
        file.write(_best_config(folder, found, prepared).encode())


def _best_config(folder: RunFolder, found: Findings, prepared: Prepared) -> str:
    """Return a config for `dlcli train`, with what the search found above it."""
    assert found.best is not None, "one came through"
    changed = change_config(prepared.loaded, dict(found.best.settings))
    has_same_data = changed.config.data == prepared.loaded.config.data
    config = prepare(changed, prepared.dataset if has_same_data else None, is_trial=True).config
    config = move_paths(config, prepared.folder, folder.path).model_copy(
        update={"name": f"{config.name[: _MAX_NAME - 5]}-best", "tune": TuneConfig()}
    )
    return f"# {describe_findings(found)}\n{dump_config(config)}"


def _table(found: Findings) -> pl.DataFrame:
    """Return a row for each trial, the best first: its metric, its epochs and its settings."""
    columns: dict[str, list[object]] = {
        "trial": [entry.number for entry in found.entries],
        found.tune.metric: [entry.figure for entry in found.entries],
        "epochs": [entry.epochs for entry in found.entries],
        "best_epoch": [statistics.median_low(entry.best_epochs) for entry in found.entries],
        "diverged": [not entry.is_sound for entry in found.entries],
    }
    for dimension in found.space.dimensions:
        values: list[object] = [entry.settings.get(dimension.key) for entry in found.entries]
        is_plain = all(isinstance(value, int | float | str | bool | None) for value in values)
        kinds = {type(value) for value in values if value is not None}
        columns[dimension.key] = (
            values
            if is_plain and len(kinds) < 2
            else [None if value is None else json.dumps(value) for value in values]
        )
    return pl.DataFrame(columns, strict=False)
