"""Weights and all that is needed to use them, in one safetensors file: no pickle.

The file's metadata has one entry, `dlcli`: JSON with the resolved config and what was fitted to
the training rows. One entry, because safetensors keeps no order among several, and the same run
gives the same bytes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from dlcli import __version__
from dlcli.config import Config
from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, ready to be built."""

    config: Config  # resolved; its data paths as the user wrote them
    fitted: FittedData
    epoch: int
    checksums: dict[str, str]  # SHA-256 of the data files
    weights: dict[str, Tensor]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all; StorageError where that fails."""
    about = {
        "format": FORMAT_VERSION,
        "dlcli": __version__,
        "torch": torch.__version__,
        "config": checkpoint.config.model_dump(mode="json"),
        "fitted": checkpoint.fitted.model_dump(mode="json"),
        "epoch": checkpoint.epoch,
        "checksums": checkpoint.checksums,
    }
    weights = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
    metadata = {"dlcli": json.dumps(about, sort_keys=True)}
    with atomic_file(path) as file:
        file.write(save(weights, metadata))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; CheckpointError where it can't be used."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: not a checkpoint that can be read: {error}") from None
    if "dlcli" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not of dlcli")
    try:
        about: dict[str, Any] = json.loads(metadata["dlcli"])
        if about["format"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: checkpoint format {about['format']}; this dlcli ({__version__}) reads "
                f"{FORMAT_VERSION}; it was written by dlcli {about['dlcli']}"
            )
        return Checkpoint(
            config=Config.model_validate(about["config"]),
            fitted=FittedData.model_validate(about["fitted"]),
            epoch=int(about["epoch"]),
            checksums=dict(about["checksums"]),
            weights=weights,
        )
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(f"{path}: damaged: {str(error).splitlines()[0]}") from None


def load_weights(network: nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Put a checkpoint's weights into a network; CheckpointError where they don't fit it."""
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: its weights don't fit its config: {reason}") from None
