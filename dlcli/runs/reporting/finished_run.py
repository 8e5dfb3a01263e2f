"""A run that has just ended → what its report shows, from what is in memory."""

from collections.abc import Generator, Mapping
from typing import Any

from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.learning.history import history_of_ended
from dlcli.explaining.one_target import models_of_targets
from dlcli.explaining.quality.quality import assess_quality
from dlcli.explaining.reasons.permutation_importance import measure_importance
from dlcli.runs.folder.run_folder import RunFolder, move_paths
from dlcli.runs.reporting.forecast import ForecastingNetwork, report_forecasts
from dlcli.runs.reporting.report_data import (
    NetworkReport,
    QuickReport,
    Record,
    ReportData,
    augmented_images,
    diagnose_run,
)
from dlcli.runs.training.events import ReportMaterial
from dlcli.runs.training.resume import surroundings
from dlcli.training.engines.threads import most_threads

_SHARE = 0.04  # of the time of training, that questions to the network may take
_MIN_SECONDS, _MAX_SECONDS = 0.1, 10.0
_QUALITY = 0.6  # of that time, for the baselines and the intervals
_TREES = 0.6  # of that, for gradient boosting where it is enough


def collect_from_memory(
    material: ReportMaterial, folder: RunFolder, summary: Mapping[str, Any]
) -> Generator[str, None, ReportData]:
    """Evaluate and explain the network of a run that has ended, yielding each stage's name.

    No data is read, and what the run has evaluated is not evaluated again. Raises StorageError.
    """
    record = _record(material, folder, summary)
    prepared, trainer = material.prepared, material.trainer
    if prepared.dataset.fitted.window is not None:
        yield "evaluating the forecasts"
        forecaster = ForecastingNetwork(
            trainer.network.eval(),
            prepared.plan,
            prepared.dataset.fitted,
            prepared.loss,
            trainer.placement,
        )
        windows = prepared.dataset.windows
        is_quick = material.kind == "quick"
        return report_forecasts(
            record, tuple(material.statistics), forecaster, windows, is_quick=is_quick
        )
    model = _model(material)
    if material.kind == "full":
        from dlcli.runs.reporting.from_folder import examine

        network = yield from examine(model, record, material.snapshots)
    else:
        yield "evaluating the network"
        seconds = _budget(float(summary["seconds"]))
        targets = [*models_of_targets(model)]
        each = seconds / len(targets)
        qualities = tuple(
            assess_quality(one, seconds=_QUALITY * each, tree_seconds=_TREES * _QUALITY * each)
            for one in targets
        )
        yield "permutation importance"
        importances = tuple(
            measure_importance(one, seconds=(1 - _QUALITY) * each) for one in targets
        )
        quick = QuickReport(importances, seconds)
        network = NetworkReport(model, qualities, quick, augmented_images(model, record))
    return ReportData(record, diagnose_run(model, record), tuple(material.statistics), network)


def _budget(training_seconds: float) -> float:
    """Return how many seconds the questions to a network may take, by the time of its training."""
    return min(max(_MIN_SECONDS, _SHARE * training_seconds), _MAX_SECONDS)


def _record(material: ReportMaterial, folder: RunFolder, summary: Mapping[str, Any]) -> Record:
    prepared = material.prepared
    return Record(
        folder=folder,
        history=history_of_ended(
            folder.metrics, move_paths(prepared.config, prepared.folder, folder.path), summary
        ),
        summary=summary,
        surroundings=surroundings(material.trainer.placement),
        fitted=prepared.dataset.fitted,
    )


def _model(material: ReportMaterial) -> ExplainedModel:
    prepared, trainer, calibration = material.prepared, material.trainer, material.calibration
    parts = {}
    for name, rows in material.rows.items():
        table = prepared.dataset.kept.table(name)
        kept = None if table is None else table.with_short_paths()
        parts[name] = ExplainedRows(rows, kept, material.outputs.get(name))
    return ExplainedModel(
        network=trainer.network.eval(),
        plan=prepared.plan,
        loss=prepared.loss,
        fitted=prepared.dataset.fitted,
        placement=trainer.placement,
        parts=parts,
        seed=prepared.config.seed,
        group=prepared.config.data.split.group,
        num_threads=most_threads(prepared.config.training),
        temperature=None if calibration is None else calibration.temperature,
    )
