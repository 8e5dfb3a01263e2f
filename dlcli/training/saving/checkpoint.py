"""A network, and all that is needed to use it or to train it on, in one safetensors file.

No pickle: what is loaded is numbers and text, checked. The file's metadata has one entry, `dlcli`:
JSON whose first value is the SHA-256 of the whole file, taken with zeros in its place, so that no
bit can change unnoticed. The layout is that of https://github.com/huggingface/safetensors; weights
are named as in the network, so other programs can read them. dlcli writes it itself, tensor by
tensor, since the library would hold every thread still and all of it in memory a second time.

What belongs to the state of a run is named `best/…`, `optimizer/…` and `random/…`; where an
average is judged and predicted with, the weights that are trained are named `training/…`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor, nn

from dlcli import __version__
from dlcli.config import Config
from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file
from dlcli.section import NonNegativeFloat, NonNegativeInt, PositiveFloat, Section
from dlcli.training.saving.file import (
    DIGEST,
    NO_DIGEST,
    START,
    damaged,
    hexdigest,
    read_file,
)
from dlcli.training.saving.state import NonTensorState, StateError, TrainingState, copy_into
from dlcli.training.saving.tensors import DTYPES, file_buffers, file_header

FORMAT_VERSION = 3
_MAX_PROBLEMS = 100
_GROUPS = ("best", "optimizer", "random")
_TRAINED = "training"


class OtherFormatError(CheckpointError):
    """A checkpoint that is whole, of a version of dlcli whose format this one can't read."""


class RunSoFar(Section):
    """What a run has done and where, besides its training state."""

    seconds: NonNegativeFloat  # in all
    metrics_bytes: NonNegativeInt  # the length of metrics.jsonl
    surroundings: dict[str, str]  # what "the same to the bit" depends on, by name


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, ready to be built and, with `state` and `run`, to be trained on."""

    config: Config  # resolved; its data paths as the user wrote them
    fitted: FittedData
    checksums: dict[str, str]  # SHA-256 of the data files
    epoch: int  # of the weights; it may be under way
    weights: dict[str, Tensor]
    state: TrainingState | None = None
    run: RunSoFar | None = None
    temperature: float | None = None  # that calibrates predicted probabilities


_DataKey = Annotated[str, Field(pattern=r"^(path|validation_path|test_path)( images)?$")]


class _Format(BaseModel):
    """What every version of the metadata has."""

    format: int
    dlcli: str


class _About(Section):
    """The metadata."""

    sha256: str  # first: `START` ends with it
    format: int
    dlcli: str
    torch: str
    config: Config
    fitted: FittedData
    checksums: dict[_DataKey, str]
    epoch: NonNegativeInt
    numbers: NonTensorState | None
    run: RunSoFar | None
    temperature: PositiveFloat | None = None  # absent from checkpoints of older versions


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, keep: Path | None = None) -> None:
    """Write a checkpoint, whole or not at all, what stood there to `keep`; StorageError."""
    state = checkpoint.state
    about = _About(
        sha256=NO_DIGEST.decode(),
        format=FORMAT_VERSION,
        dlcli=__version__,
        torch=torch.__version__,
        config=checkpoint.config,
        fitted=checkpoint.fitted,
        checksums=checkpoint.checksums,
        epoch=checkpoint.epoch,
        numbers=None if state is None else state.numbers,
        run=checkpoint.run,
        temperature=checkpoint.temperature,
    )
    tensors = dict(checkpoint.weights)
    if state is not None:
        for group in _GROUPS:
            members: dict[str, Tensor] = getattr(state, group)
            tensors |= {f"{group}/{name}": tensor for name, tensor in members.items()}
        if state.judged:
            trained = state.weights.items()
            tensors |= {f"{_TRAINED}/{name}": tensor for name, tensor in trained}
    with atomic_file(path, keep=keep) as file:
        _write(file, tensors, about.model_dump_json())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; CheckpointError where it can't be used, or isn't what was written."""
    try:
        text, raw = read_file(path)
        found = _Format.model_validate_json(text)
        if found.format != FORMAT_VERSION:
            raise OtherFormatError(
                f"{path}: checkpoint format {found.format}, written by dlcli {found.dlcli}; this "
                f"dlcli, {__version__}, reads format {FORMAT_VERSION}"
            )
        about = _About.model_validate_json(text)
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in ("", *_GROUPS, _TRAINED)}
        for name, tensor in safetensors.torch.load(raw).items():
            if tensor.dtype not in DTYPES or not torch.isfinite(tensor).all():
                raise damaged(path, f"{name!r} holds what is never saved")
            group, member = name.split("/", 1) if "/" in name else ("", name)
            groups[group][member] = tensor
    except ValidationError as error:
        raise damaged(path, f"its metadata: {_first_of(error)}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"its header: {error}") from None
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise damaged(path, str(error)) from None
    weights, trained = groups.pop(""), groups.pop(_TRAINED)
    state = None
    if about.numbers is not None:
        now, judged = (trained, weights) if trained else (weights, {})
        state = TrainingState(numbers=about.numbers, weights=now, judged=judged, **groups)
    return Checkpoint(
        config=about.config,
        fitted=about.fitted,
        checksums=about.checksums,
        epoch=about.epoch,
        weights=weights,
        state=state,
        run=about.run,
        temperature=about.temperature,
    )


def load_weights(network: nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Put a checkpoint's weights into a network; CheckpointError where they don't fit it."""
    try:
        copy_into(network.state_dict(), checkpoint.weights)
    except StateError as error:
        raise CheckpointError(f"{path}: its weights don't fit its config: {error}") from None


def _write(file: BinaryIO, tensors: dict[str, Tensor], about: str) -> None:
    header = file_header(tensors, {"dlcli": about})
    assert header[8:].startswith(START + NO_DIGEST), "what read_file looks for"
    digest = hexdigest([header, *file_buffers(tensors)])
    header[DIGEST] = digest
    file.writelines([header, *file_buffers(tensors)])


def _first_of(error: ValidationError) -> str:
    if error.error_count() > _MAX_PROBLEMS:  # each of them is taken down at length
        return f"{error.error_count():,} things wrong with it"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
