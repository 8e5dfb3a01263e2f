"""Whether two runs came to the same, to the bit."""

import json
from pathlib import Path
from typing import Any

import torch

from dlcli.training.saving.checkpoint import Checkpoint, load_checkpoint


def differences(first: Path, second: Path) -> list[str]:
    """Return what differs between two run folders, times apart."""
    found = []
    for name in ("last", "best"):
        pair = [load_checkpoint(folder / f"{name}.safetensors") for folder in (first, second)]
        found += [f"{name}: {what}" for what in checkpoint_differences(*pair)]
    for name in ("metrics.jsonl", "summary.json"):
        if _without_times(first / name) != _without_times(second / name):
            found.append(name)
    left = {path.name for path in second.iterdir()} - {path.name for path in first.iterdir()}
    return found + sorted(left - {"previous.safetensors"})


def checkpoint_differences(first: Checkpoint, second: Checkpoint) -> list[str]:
    """Return what differs between two checkpoints, times apart."""
    found = []
    if _plain(first) != _plain(second):
        found.append(f"{_plain(first)} and {_plain(second)}")
    groups = [_tensors(first), _tensors(second)]
    found += sorted(groups[0].keys() ^ groups[1].keys())
    for name in groups[0].keys() & groups[1].keys():
        pair = [group[name] for group in groups]
        if pair[0].numpy().tobytes() != pair[1].numpy().tobytes():
            found.append(name)
    return found


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    plain: dict[str, Any] = {"epoch": checkpoint.epoch, "checksums": checkpoint.checksums}
    if checkpoint.state is not None:
        plain |= checkpoint.state.numbers.model_dump(exclude={"seconds"})
    return plain


def _tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    state = checkpoint.state
    groups = {"weights": checkpoint.weights}
    if state is not None:
        groups |= {"best": state.best, "optimizer": state.optimizer, "random": state.random}
    return {
        f"{group}/{key}": value for group, some in groups.items() for key, value in some.items()
    }


def _without_times(path: Path) -> list[Any]:
    text = path.read_text("utf-8")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]
