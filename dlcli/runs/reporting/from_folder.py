"""A run folder → everything that its report shows, as far as it is available."""

import json
import math
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import CheckpointError, DlcliError
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.learning.diagnosis import diagnose
from dlcli.explaining.learning.history import read_history
from dlcli.explaining.one_target import models_of_targets
from dlcli.explaining.quality.boosted_trees import IMPORT_SECONDS, MAX_SECONDS
from dlcli.explaining.quality.quality import assess_quality
from dlcli.explaining.reasons import permutation_importance
from dlcli.explaining.reasons.explanation import explain
from dlcli.explaining.surface import landscape as surface
from dlcli.explaining.surface.landscape import loss_landscape
from dlcli.explaining.surface.path import Snapshots, end_at, path_plane
from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision import vision
from dlcli.explaining.vision.vision import examine_vision
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.reporting.forecast import load_forecaster, report_forecasts
from dlcli.runs.reporting.load_run import load_model_and_data
from dlcli.runs.reporting.report_data import (
    DeepBudget,
    DeepReport,
    NetworkReport,
    Record,
    ReportData,
    augmented_images,
    diagnose_run,
)
from dlcli.runs.training.recorder import read_snapshots, read_statistics
from dlcli.training.saving.checkpoint import load_checkpoint

# Of the time of training, for each of the questions that take longest; no less than a second.
_SHARE, _MIN_SECONDS = 0.5, 1.0


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
        if record.fitted is not None and record.fitted.window is not None:
            found = load_forecaster(record.folder.path)
            return report_forecasts(record, statistics, *found, is_quick=False)
        model = load_model_and_data(record.folder.path)
    except DlcliError as error:
        diagnosis = diagnose(record.history, constant_loss=None)
        return ReportData(record, diagnosis, statistics, Unavailable(str(error)))
    network = yield from examine(model, record, read_snapshots(record.folder))
    return ReportData(record, diagnose_run(model, record), statistics, network)


def examine(
    model: ExplainedModel, record: Record, snapshots: Snapshots
) -> Generator[str, None, NetworkReport]:
    """Evaluate and explain a network in full, yielding the name of each stage before it begins."""
    yield "the network beside baselines (question 1 of 4)"
    budget = _budget(record)
    targets = [*models_of_targets(model)]
    qualities = tuple(
        assess_quality(one, tree_seconds=budget.tree_seconds / len(targets), cuts_trees=True)
        for one in targets
    )
    yield "what its predictions rest on (question 2 of 4)"
    explanations = tuple(
        explain(one, seconds=budget.importance_seconds / len(targets)) for one in targets
    )
    seen = tuple(
        examine_vision(one, seconds=budget.vision_seconds / len(targets)) for one in targets
    )
    yield "the loss landscape (question 3 of 4)"
    rows = model.parts["train"].encoded
    weights = {name: tensor.detach() for name, tensor in model.network.state_dict().items()}
    path = end_at(snapshots, record.history.best_epoch or 0, weights)
    landscape = loss_landscape(model, rows, seconds=budget.surface_seconds)
    yield "the path of training (question 4 of 4)"
    plane = path_plane(model, path, rows, seconds=budget.surface_seconds)
    deep = DeepReport(explanations, seen, landscape, plane, budget)
    return NetworkReport(model, qualities, deep, augmented_images(model, record))


def _budget(record: Record) -> DeepBudget:
    """Return how long the questions may take that take longest, by the time of training."""
    trained = (record.summary or {}).get("seconds")
    seconds = max(_MIN_SECONDS, _SHARE * trained) if isinstance(trained, int | float) else math.inf
    return DeepBudget(
        tree_seconds=min(IMPORT_SECONDS + seconds, MAX_SECONDS),
        importance_seconds=min(seconds, permutation_importance.SECONDS),
        surface_seconds=min(seconds, surface.SECONDS),
        vision_seconds=min(seconds, vision.SECONDS),
    )


def _read_summary(folder: RunFolder) -> Mapping[str, Any] | None:
    try:
        found = json.loads(folder.summary.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
