"""ensemble.json: which networks an ensemble has, and how much each counts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from dlcli import __version__
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file
from dlcli.runs.folder.run_folder import RunFolder, find_checkpoint
from dlcli.section import PositiveFloat, Section
from dlcli.targets.several_targets import AnyTarget


class _Member(Section):
    file: str = Field(pattern=r"^members/[\w.-]+$")  # a checkpoint, beside this file
    sha256: str
    weight: PositiveFloat


class _EnsembleFile(Section):
    format: Literal[1]
    dlcli: str
    target: AnyTarget  # fitted to all rows that a fold trains on or holds out
    members: Annotated[tuple[_Member, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True)
class Ensemble:
    """Checkpoints whose predictions are averaged: probabilities, or numbers."""

    target: AnyTarget  # in whose terms losses of the mean are computed
    members: tuple[tuple[Path, float], ...]  # each with its weight; these add up to 1


def write_ensemble(
    folder: RunFolder, target: AnyTarget, members: Sequence[tuple[Path, float]]
) -> None:
    """Write an ensemble of checkpoints in the folder's `members`; StorageError.

    Those of weight 0 are left out.
    """
    found = _EnsembleFile(
        format=1,
        dlcli=__version__,
        target=target,
        members=tuple(
            _Member(file=f"{folder.members.name}/{path.name}", sha256=_digest(path), weight=weight)
            for path, weight in members
            if weight
        ),
    )
    with atomic_file(folder.ensemble) as file:
        file.write(found.model_dump_json(indent=2).encode() + b"\n")


def read_ensemble(run: Path) -> Ensemble | None:
    """Return the ensemble of a run folder; None where it is another one, or a file.

    CheckpointError where it can't be used.
    """
    folder = RunFolder(run)
    if not folder.ensemble.is_file():
        return None
    try:
        found = _EnsembleFile.model_validate_json(folder.ensemble.read_bytes())
    except (ValidationError, OSError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(
            f"{folder.ensemble}: damaged: {first}; remove it and resume the run, which writes it "
            "anew from its members"
        ) from None
    members = []
    for member in found.members:
        path = folder.path / member.file
        if not path.is_file() or _digest(path) != member.sha256:
            what = "is missing" if not path.is_file() else "is not what was written"
            raise CheckpointError(
                f"{path}: a network of the ensemble {what}; remove {folder.ensemble} and it, and "
                "resume the run, which trains it anew"
            )
        members.append((path, member.weight))
    total = sum(weight for _, weight in members)
    return Ensemble(found.target, tuple((path, weight / total) for path, weight in members))


def find_members(run: Path) -> tuple[tuple[Path, float], ...]:
    """Return the checkpoints that RUN names, each with its weight: one, or an ensemble's.

    CheckpointError where there is none.
    """
    ensemble = read_ensemble(run) if run.is_dir() else None
    return ((find_checkpoint(run), 1.0),) if ensemble is None else ensemble.members


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
