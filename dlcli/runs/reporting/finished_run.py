"""A run that has just ended → what its report shows, from what is in memory."""

from collections.abc import Generator, Mapping
from typing import Any

from dlcli.explaining.explained_model import ExplainedModel, ExplainedRows
from dlcli.explaining.learning.history import read_history
from dlcli.explaining.quality.quality import assess_quality
from dlcli.explaining.reasons.permutation_importance import measure_importance
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.reporting.report_data import (
    NetworkReport,
    QuickReport,
    Record,
    ReportData,
    diagnose_run,
)
from dlcli.runs.training.events import ReportMaterial
from dlcli.runs.training.resume import surroundings


def collect_from_memory(
    material: ReportMaterial, folder: RunFolder, summary: Mapping[str, Any]
) -> Generator[str, None, ReportData]:
    """Evaluate and explain the network of a run that has ended, yielding each stage's name.

    No data is read, and what the run has evaluated is not evaluated again. Raises StorageError.
    """
    record = _record(material, folder, summary)
    model = _model(material)
    if material.kind == "full":
        from dlcli.runs.reporting.from_folder import examine

        network = yield from examine(model, record, material.snapshots)
    else:
        yield "evaluating the network"
        quality = assess_quality(model)
        yield "permutation importance"
        network = NetworkReport(model, quality, QuickReport(measure_importance(model)))
    return ReportData(record, diagnose_run(model, record), tuple(material.statistics), network)


def _record(material: ReportMaterial, folder: RunFolder, summary: Mapping[str, Any]) -> Record:
    prepared = material.prepared
    return Record(
        folder=folder,
        history=read_history(metrics=folder.metrics, summary=folder.summary, config=folder.config),
        summary=summary,
        surroundings=surroundings(material.trainer.placement),
        fitted=prepared.dataset.fitted,
    )


def _model(material: ReportMaterial) -> ExplainedModel:
    prepared, trainer = material.prepared, material.trainer
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
    )
