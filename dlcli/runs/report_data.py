"""A run folder → everything that its report shows, as far as it is available."""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError, DlcliError
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.judging.quality import Quality, examine_quality
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Diagnosis
from dlcli.explaining.learning.history import History, read_history
from dlcli.explaining.reasons.explanation import Explanation, explain
from dlcli.explaining.surface.landscape import Plane, loss_plane
from dlcli.explaining.surface.path import PathPlane, end_at, path_plane
from dlcli.explaining.training_statistics import EpochStatistics
from dlcli.explaining.unavailable import Unavailable
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.load_run import load_model_and_data
from dlcli.runs.training.recorder import read_looks, read_snapshots
from dlcli.training.saving.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Record:
    """What the files of a run say, without its network."""

    folder: RunFolder
    history: History
    summary: Mapping[str, Any] | None  # None: missing or damaged
    surroundings: Mapping[str, str]  # the machine and versions; empty if unknown
    fitted: FittedData | None  # None: there is no readable checkpoint

    @property
    def name(self) -> str:
        """The name of the run."""
        config = self.history.config
        return config.name if config is not None else self.folder.path.name


@dataclass(frozen=True)
class NetworkFindings:
    """What evaluating and explaining a run's network has shown."""

    subject: ExplainedModel
    quality: Quality
    why: Explanation
    plane: Plane | Unavailable
    path: PathPlane | Unavailable


@dataclass(frozen=True)
class ReportData:
    """Everything that the report of a run shows."""

    record: Record
    diagnosis: Diagnosis
    looks: tuple[EpochStatistics, ...]
    answers: NetworkFindings | Unavailable


def read_record(run: Path) -> Record:
    """Read the files of a run, as far as they exist.

    Raises CheckpointError if the folder is not a run folder, StorageError.
    """
    folder = RunFolder(run if run.is_dir() else run.parent)
    if folder.runs.exists():
        page = folder.path / "comparison.html"
        raise CheckpointError(f"{run}: the folder of a comparison; its page is {page}")
    if not (folder.config.exists() or folder.metrics.exists()):
        raise CheckpointError(f"{run}: not a run folder: it has no {folder.config.name}")
    fitted, surroundings = None, dict[str, str]()
    for path in (folder.best, folder.last):
        try:
            checkpoint = load_checkpoint(path)
        except CheckpointError:  # `load_model_and_data` says what is wrong with it
            continue
        fitted = checkpoint.fitted
        surroundings |= checkpoint.run.surroundings if checkpoint.run else {}
    return Record(
        folder=folder,
        history=read_history(metrics=folder.metrics, summary=folder.summary, config=folder.config),
        summary=_read_summary(folder),
        surroundings=surroundings,
        fitted=fitted,
    )


def collect_report_data(record: Record) -> Generator[str, None, ReportData]:
    """Evaluate and explain a run's network, yielding the name of each stage before it begins.

    If the network or its data can't be used, only what the files say is collected. Raises
    StorageError.
    """
    yield "reading the data"
    try:
        subject = load_model_and_data(record.folder.path)
    except DlcliError as error:
        absent = Unavailable(str(error))
        return ReportData(record, diagnose(record.history, trivial=None), _looks(record), absent)
    rows = subject.parts["train"].encoded
    trivial = constant_baseline_loss(subject.objective, subject.target, subject.targets(rows))
    findings = yield from _examine(subject, record)
    return ReportData(record, diagnose(record.history, trivial=trivial), _looks(record), findings)


def _examine(subject: ExplainedModel, record: Record) -> Generator[str, None, NetworkFindings]:
    yield "evaluating the network"
    quality = examine_quality(subject)
    yield "explaining the network"
    why = explain(subject)
    yield "the loss landscape"
    rows = subject.parts["train"].encoded
    weights = {name: values.detach() for name, values in subject.network.state_dict().items()}
    snapshots = end_at(read_snapshots(record.folder), record.history.best_epoch or 0, weights)
    return NetworkFindings(
        subject, quality, why, loss_plane(subject, rows), path_plane(subject, snapshots, rows)
    )


def _looks(record: Record) -> tuple[EpochStatistics, ...]:
    return tuple(read_looks(record.folder))


def _read_summary(folder: RunFolder) -> Mapping[str, Any] | None:
    try:
        found = json.loads(folder.summary.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
