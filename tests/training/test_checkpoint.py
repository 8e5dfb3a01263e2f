import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlcli.config import LoadedConfig
from dlcli.errors import CheckpointError, StorageError
from dlcli.network.builder import build_network
from dlcli.runs.preparation import prepare
from dlcli.runs.restore import restore
from dlcli.training.saving.checkpoint import (
    Checkpoint,
    OtherFormatError,
    load_checkpoint,
    save_checkpoint,
)

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


def test_other_programs_can_read_it(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.safetensors", checkpoint)
    read = load_file(tmp_path / "c.safetensors")
    assert read.keys() == checkpoint.weights.keys()
    assert all(torch.equal(read[name], checkpoint.weights[name]) for name in read)


def test_what_stood_there_is_kept_where_that_is_asked_for(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path, keep = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    for epoch in (1, 2, 3):
        save_checkpoint(path, replace(checkpoint, epoch=epoch), keep=keep)
    assert (load_checkpoint(path).epoch, load_checkpoint(keep).epoch) == (3, 2)


def test_a_file_system_without_hard_links_keeps_it_too(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    test_what_stood_there_is_kept_where_that_is_asked_for(checkpoint, tmp_path)


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = bytes(range(16))
    monkeypatch.setattr(os, "urandom", lambda size: known[:size])
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".c.safetensors.{known.hex()}.dlcli-partial").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match="File exists"):
        save_checkpoint(tmp_path / "c.safetensors", checkpoint)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "folder", "foreign"])
def test_what_is_no_checkpoint_is_refused(
    damage: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
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
            save_file(load_file(path), path)
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        restore(path)


def test_another_format_is_refused_with_the_version_that_wrote_it(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"
    with monkeypatch.context() as newer:
        newer.setattr("dlcli.training.saving.checkpoint.FORMAT_VERSION", 4)
        newer.setattr("dlcli.training.saving.checkpoint.__version__", "9.1")
        save_checkpoint(path, checkpoint)
    with pytest.raises(OtherFormatError, match=r"format 4, written by dlcli 9\.1; this"):
        load_checkpoint(path)


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
