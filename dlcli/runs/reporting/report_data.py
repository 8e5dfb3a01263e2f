"""Everything that the report of a run shows, from its folder, as far as it is available."""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.fitted import FittedData
from dlcli.errors import CheckpointError, DlcliError
from dlcli.explaining.constant_baseline import constant_baseline_loss
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.finding import Diagnosis
from dlcli.explaining.learning.history import History, read_history
from dlcli.explaining.quality.quality import Quality, assess_quality
from dlcli.explaining.reasons.explanation import Explanation, explain
from dlcli.explaining.reasons.permutation_importance import PermutationImportance
from dlcli.explaining.surface.landscape import LossGrid, loss_landscape
from dlcli.explaining.surface.path import PathPlane, Snapshots, end_at, path_plane
from dlcli.explaining.training_statistics import EpochStatistics
from dlcli.explaining.unavailable import Unavailable
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.runs.training.recorder import read_snapshots, read_statistics
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
class DeepReport:
    """What only the full report of a run shows."""

    explanation: Explanation
    landscape: LossGrid | Unavailable
    path: PathPlane | Unavailable


@dataclass(frozen=True)
class QuickReport:
    """What a quick report explains."""

    importance: PermutationImportance | Unavailable


@dataclass(frozen=True)
class NetworkReport:
    """What evaluating and explaining a run's network has shown."""

    model: ExplainedModel
    quality: Quality
    explained: QuickReport | DeepReport


@dataclass(frozen=True)
class ReportData:
    """Everything that the report of a run shows."""

    record: Record
    diagnosis: Diagnosis
    statistics: tuple[EpochStatistics, ...]
    network: NetworkReport | Unavailable

    @property
    def is_quick(self) -> bool:
        """Whether only what is quickly made is shown."""
        network = self.network
        return isinstance(network, NetworkReport) and isinstance(network.explained, QuickReport)


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
    statistics = tuple(read_statistics(record.folder))
    yield "reading the data"
    try:
        model = load_model_and_data(record.folder.path)
    except DlcliError as error:
        diagnosis = diagnose(record.history, constant_loss=None)
        return ReportData(record, diagnosis, statistics, Unavailable(str(error)))
    network = yield from examine(model, record, read_snapshots(record.folder))
    return ReportData(record, diagnose_run(model, record), statistics, network)


def diagnose_run(model: ExplainedModel, record: Record) -> Diagnosis:
    """Say how a run's network learned, beside the constant baseline on its training rows."""
    rows = model.parts["train"].encoded
    constant_loss = constant_baseline_loss(
        model.objective, model.target, model.targets(rows), model.weights(rows)
    )
    return diagnose(record.history, constant_loss=constant_loss)


def examine(
    model: ExplainedModel, record: Record, snapshots: Snapshots
) -> Generator[str, None, NetworkReport]:
    """Evaluate and explain a network in full, yielding the name of each stage before it begins."""
    yield "evaluating the network"
    quality = assess_quality(model)
    yield "explaining the network"
    explanation = explain(model)
    yield "the loss landscape"
    rows = model.parts["train"].encoded
    weights = {name: tensor.detach() for name, tensor in model.network.state_dict().items()}
    path = end_at(snapshots, record.history.best_epoch or 0, weights)
    return NetworkReport(
        model,
        quality,
        DeepReport(explanation, loss_landscape(model, rows), path_plane(model, path, rows)),
    )


def _read_summary(folder: RunFolder) -> Mapping[str, Any] | None:
    try:
        found = json.loads(folder.summary.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
