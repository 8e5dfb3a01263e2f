"""`dlcli evaluate`: metrics with a run's best weights, on its held-out rows or on a file."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from dlcli.config import LoadedConfig, load_config
from dlcli.data.dataset import encode_rows, load_tables, open_stream
from dlcli.data.encoding import encode_blocks
from dlcli.data.fitting import check_stream
from dlcli.data.memory_estimate import exceeds_memory
from dlcli.data.splits import PARTS
from dlcli.data.stream import Stream, drain
from dlcli.errors import CheckpointError, DataError
from dlcli.runs.folder.run_folder import RunFolder, find_checkpoint
from dlcli.runs.restore import Restored, restore
from dlcli.tables.reading import checksum
from dlcli.tables.sources import DataPath, Source, find_source
from dlcli.tables.text.text_format import PLAIN_TEXT, TextFormat
from dlcli.training.evaluation import evaluate
from dlcli.training.objective import build_objective
from dlcli.training.rows.batches import Rows, to_rows

AnyRows = Rows | Iterator[Rows]  # all at once, or block by block


def evaluate_run(
    run: Path, data: DataPath | None = None, *, said: TextFormat = PLAIN_TEXT
) -> tuple[dict[str, Any], list[str]]:
    """Return metrics by part of the data, and notes on unseen cells.

    Without `data`, the parts are the run's `validation` and `test` rows; with it, `data` are all
    rows that it names, and `said` is how they are written. Raises CheckpointError, DataError,
    StorageError.
    """
    path = find_checkpoint(run)
    restored = restore(path)
    if data is None:
        parts, notes = _held_out_rows(path, restored), list[str]()
        if not parts:
            raise DataError(
                f"{run}: this run has no validation or test rows; name a file to evaluate on"
            )
    else:
        parts, notes = _rows_of_source(restored, find_source(data), said)
    target, placement = restored.fitted.target, restored.placement
    objective = build_objective(restored.loss, target, placement.device)
    figures = {
        name: evaluate(restored.network, objective, rows, target=target, placement=placement)
        for name, rows in parts.items()
    }
    return figures, notes


def _rows_of_source(
    restored: Restored, source: Source, said: TextFormat
) -> tuple[dict[str, AnyRows], list[str]]:
    """Return a source's rows, encoded at once, or block by block if memory is short."""
    fitted, config = restored.fitted, restored.checkpoint.config.data
    reason = exceeds_memory([source], config)
    if reason is None:
        part, notes = encode_rows(fitted, source, config, said)
        return {"data": to_rows(part, restored.placement.device)}, notes
    form = fitted.text_format(said)
    stream = Stream(config, {"test_path": source}, seed=0, form=form)
    notes = [f"metrics are accumulated block by block: {reason}"]
    notes += drain(check_stream(fitted, stream))
    return {"data": _blocks(restored, stream, "test")}, notes


def _held_out_rows(path: Path, restored: Restored) -> dict[str, AnyRows]:
    """Return a run's validation and test rows, of each part that is not empty."""
    loaded = config_of_run(path, restored)
    device = restored.placement.device
    if loaded.config.data.streaming is not True:
        return {
            name: to_rows(restored.fitted.encode(rows)[0], device)
            for name, rows in load_tables(loaded).items()
            if name != "train"
        }
    stream = open_stream(loaded)
    blocks = {name: _blocks(restored, stream, name) for name in PARTS if name != "train"}
    firsts = {name: next(some, None) for name, some in blocks.items()}
    return {
        name: chain([first], blocks[name]) for name, first in firsts.items() if first is not None
    }


def _blocks(restored: Restored, stream: Stream, part: str) -> Iterator[Rows]:
    """Yield the rows of one part, encoded on demand."""
    for block in encode_blocks(restored.fitted, stream, [part]):
        yield to_rows(block.examples, restored.placement.device)


def config_of_run(path: Path, restored: Restored) -> LoadedConfig:
    """Return the config that a run was trained with, its data files where config.yaml has them.

    All else is the checkpoint's: edits of the file change no rows. Raises DataError if the data
    has changed since training.
    """
    config = RunFolder(path.parent).config
    if not config.is_file():
        raise CheckpointError(f"{path}: there is no {config.name} beside it, which names the data")
    loaded, trained = load_config(config), restored.checkpoint.config
    checksums = restored.checkpoint.checksums
    files = {key: getattr(loaded.config.data, key) for key in checksums}
    for key, expected in checksums.items():
        source = find_source(files[key], loaded.folder)
        if checksum(source) != expected:
            raise DataError(
                f"{source}: changed since the run was trained, so its held-out rows are unknown; "
                "name a file to evaluate on"
            )
    data = trained.data.model_copy(update=files)
    if data.streaming == "auto":  # a run of a version that could not stream
        data = data.model_copy(update={"streaming": False})
    return replace(loaded, config=trained.model_copy(update={"data": data}))
