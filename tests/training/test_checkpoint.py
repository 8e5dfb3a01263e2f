import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlcli.config import LoadedConfig
from dlcli.errors import CheckpointError, StorageError
from dlcli.model.builder import build_network
from dlcli.runs.preparation import prepare
from dlcli.runs.restore import restore
from dlcli.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

Load = Callable[..., LoadedConfig]


@pytest.fixture
def checkpoint(load: Load, penguins: Path) -> Checkpoint:
    prepared = prepare(load(penguins, "species"))
    network = build_network(prepared.plan, seed=0)
    return Checkpoint(prepared.config, prepared.dataset.fitted, {}, 7, network.state_dict())


def test_a_checkpoint_comes_back_equal(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.safetensors", checkpoint)
    read = load_checkpoint(tmp_path / "c.safetensors")
    assert (read.config, read.fitted, read.epoch) == (checkpoint.config, checkpoint.fitted, 7)
    assert all(torch.equal(read.weights[key], checkpoint.weights[key]) for key in read.weights)
    assert [path.name for path in tmp_path.glob("*safetensors*")] == ["c.safetensors"]


def metadata_of(path: Path) -> dict[str, object]:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    about: dict[str, object] = json.loads(header["__metadata__"]["dlcli"])
    return about


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "folder", "foreign", "newer", "config"])
def test_what_is_no_checkpoint_is_refused(
    damage: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    about, weights = metadata_of(path), load_file(path)
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-5])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("hello, hello")
        case "folder":
            path.unlink()
            path.mkdir()
        case "foreign":
            save_file(weights, path)
        case "newer":
            save_file(weights, path, {"dlcli": json.dumps({**about, "format": 99})})
        case "config":
            save_file(weights, path, {"dlcli": json.dumps({**about, "config": {}})})
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        restore(path)


def test_weights_that_do_not_fit_the_config_are_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.weights["0_dense.weight"] = torch.zeros(5, 5)
    save_checkpoint(path, checkpoint)
    with pytest.raises(CheckpointError, match="its weights don't fit its config"):
        restore(path)


def test_a_folder_that_is_not_there_is_a_storage_error(checkpoint: Checkpoint) -> None:
    with pytest.raises(StorageError, match="cannot write it"):
        save_checkpoint(Path("nowhere/c.safetensors"), checkpoint)
