"""`dlcli evaluate`: the figures of a run's best weights, on its own rows or on a file."""

from pathlib import Path
from typing import Any

from dlcli.config import load_config
from dlcli.data.dataset import Dataset, encode_file, load_dataset
from dlcli.data.reading import checksum
from dlcli.errors import CheckpointError, DataError
from dlcli.runs.restore import Restored, restore
from dlcli.runs.run_folder import RunFolder, find_checkpoint
from dlcli.training.batches import to_rows
from dlcli.training.evaluation import evaluate
from dlcli.training.losses import build_objective


def evaluate_run(run: Path, data: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return figures by part of the data, and notes on odd cells.

    Without `data`, the run's validation and test rows, as `validation` and `test`; with it, all
    of that file's rows, as `data`. Raises CheckpointError, DataError, StorageError.
    """
    path = find_checkpoint(run)
    restored = restore(path)
    notes: list[str] = []
    if data is None:
        dataset = _own_dataset(path, restored)
        parts = {name: part for name, part in dataset.parts.items() if name != "train"}
        if not parts:
            raise DataError(f"{run}: this run held no rows out; name a file to evaluate on")
    else:
        part, notes = encode_file(restored.fitted, data, restored.checkpoint.config.data)
        parts = {"data": part}
    target, placement = restored.fitted.target, restored.placement
    objective = build_objective(restored.loss, target, placement.device)
    figures = {
        name: evaluate(
            restored.network,
            objective,
            to_rows(part, placement.device),
            target=target,
            placement=placement,
        )
        for name, part in parts.items()
    }
    return figures, notes


def _own_dataset(path: Path, restored: Restored) -> Dataset:
    """Read the run's data again; refused where it is not what the run was trained on."""
    config = RunFolder(path.parent).config
    if not config.is_file():
        raise CheckpointError(f"{path}: no {config.name} beside it says where its data is")
    loaded = load_config(config)
    data = loaded.config.data
    for key, expected in restored.checkpoint.checksums.items():
        file = loaded.folder / str(getattr(data, key))
        if checksum(file) != expected:
            raise DataError(
                f"{file}: changed since the run was trained, so which rows it held out is lost; "
                "name a file to evaluate on"
            )
    return load_dataset(loaded)
