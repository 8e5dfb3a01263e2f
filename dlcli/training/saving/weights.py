"""The network of a checkpoint: its weights as arrays, and what they were trained for; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import BaseModel, ValidationError

from dlcli.config import Config
from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError
from dlcli.section import NonNegativeInt
from dlcli.training.saving.file import damaged, read_file


@dataclass(frozen=True)
class SavedWeights:
    """A trained network's weights, by the names in the network, and what they are of."""

    path: Path
    config: Config  # resolved
    fitted: FittedData
    checksums: Mapping[str, str]  # SHA-256 of the data files
    epoch: int
    sha256: str
    weights: Mapping[str, np.ndarray]


class _About(BaseModel):
    """What the metadata say of the network."""

    config: Config
    fitted: FittedData
    checksums: dict[str, str]
    epoch: NonNegativeInt
    sha256: str


def load_saved_weights(path: Path) -> SavedWeights:
    """Read a checkpoint's network; CheckpointError where it can't be used."""
    try:
        text, raw = read_file(path)
        about = _About.model_validate_json(text)
        tensors = safetensors.numpy.load(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"{path}: a checkpoint that this dlcli can't read ({place}: {first['msg']})"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"its header: {error}") from None
    except safetensors.SafetensorError as error:
        raise damaged(path, str(error)) from None
    # What belongs to the state of a run has a group before its name.
    weights = {name: array for name, array in tensors.items() if "/" not in name}
    return SavedWeights(
        path=path,
        config=about.config,
        fitted=about.fitted,
        checksums=about.checksums,
        epoch=about.epoch,
        sha256=about.sha256,
        weights=weights,
    )
