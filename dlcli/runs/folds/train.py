"""`dlcli train --folds`: a trial for each fold → a run folder that holds an ensemble."""

import json
import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dlcli import __version__
from dlcli.config import load_config
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file
from dlcli.runs.comparison.setup import build_fold_resolver, num_processes
from dlcli.runs.comparison.stages import Stopped, execute_until
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, write_config, write_summary
from dlcli.runs.folds.ensemble_file import write_ensemble
from dlcli.runs.folds.fold_trials import FoldTrials
from dlcli.runs.folds.outcome import (
    EnsembleOutcome,
    TrainedFolds,
    collect,
    conclude,
    prediction_table,
)
from dlcli.runs.folds.preparation import PreparedFolds
from dlcli.runs.training.resume import compare_with_saved, is_harmless
from dlcli.runs.training.signals import Received
from dlcli.tables.sources import words_of
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.training.loop import StopReason
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import LocalProcesses
from dlcli.trials.running.executor import Event as ExecutorEvent
from dlcli.trials.running.executor import Executor
from dlcli.trials.setup import TrialResolver

_STAGE_BYTES = 2**30  # of the rows of the folds that are in memory at once
_SMOKE_EPOCHS = 2


@dataclass(frozen=True)
class FoldsStarted:
    """All checks passed; folds are trained, or those that are missing."""

    folds: PreparedFolds
    placement: Placement
    folder: RunFolder
    num_finished: int  # trials that were finished before
    notes: tuple[str, ...]  # on what changed since


@dataclass(frozen=True)
class FoldsFinished:
    """All folds are trained; the folder is complete but for its page."""

    summary: dict[str, Any]
    folder: RunFolder
    data: tuple[str, ...]  # the training data, as `predict` takes it


Event = FoldsStarted | ExecutorEvent | FoldsFinished | Stopped


def train_folds(
    folds: PreparedFolds,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    smoke: bool = False,
    received: Received = lambda: None,
) -> Generator[Event, None, None]:
    """Train, yielding events; the last is `FoldsFinished` or `Stopped`.

    With `resume`, finished trials in `run_dir` are not repeated, and all is in the end what it
    would have been, to the bit. With `smoke`, each fold trains for two epochs in a folder that is
    removed after the last event. Raises DlcliErrors.
    """
    if smoke:
        folds = _shortened(folds)
    first, config = folds.first, folds.config
    placement = choose_placement(config.training.device, config.training.precision)
    configure_torch(placement)
    what = f"{first.plan.num_parameters:,} parameters and the rows of several folds"
    with memory_explained(placement.device, what, "try fewer folds"), ExitStack() as stack:
        resolver = build_fold_resolver(folds.rows, first, placement)
        if smoke:
            named = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlcli-smoke-"))
            folder = RunFolder(Path(named))
        else:
            folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=resume))
        notes = _check_resumable(folder, folds, resolver) if resume else ()
        write_config(folder, config, first.folder)
        run = _FoldsRun(folds, placement, resolver, folder, received)
        yield FoldsStarted(folds, placement, folder, len(run.kept), notes)
        yield from run.do()


def _shortened(folds: PreparedFolds) -> PreparedFolds:
    training = folds.config.training
    epochs = min(training.epochs, _SMOKE_EPOCHS)
    shorter = training.model_copy(update={"epochs": epochs})
    config = folds.config.model_copy(update={"training": shorter})
    loaded = folds.rows.loaded
    changed = replace(loaded, config=loaded.config.model_copy(update={"training": shorter}))
    return replace(
        folds,
        first=replace(folds.first, config=config, loaded=changed),
        rows=replace(folds.rows, loaded=changed),
    )


def _check_resumable(
    folder: RunFolder, folds: PreparedFolds, resolver: TrialResolver
) -> tuple[str, ...]:
    """Refuse to resume other folds; return what changed."""
    if not folder.config.exists():
        return ()
    if not folder.fold_trials.exists():
        raise CheckpointError(
            f"{folder.path}: no folds to resume: it has no {folder.fold_trials.name}; name another "
            "--run-dir, or resume its run without folds"
        )
    was = load_config(folder.config).config
    checksums = FoldTrials(folder, folds, resolver).checksums
    return tuple(
        compare_with_saved(
            folder, was, checksums, folds.first, lambda key: None if is_harmless(key) else ""
        )
    )


@dataclass
class _FoldsRun:
    """Folds that are being trained."""

    folds: PreparedFolds
    placement: Placement
    resolver: TrialResolver
    folder: RunFolder
    received: Received

    def __post_init__(self) -> None:
        self.kept = FoldTrials(self.folder, self.folds, self.resolver)
        self.trials = self.folds.trials
        backend = LocalProcesses(num_processes(self.folds.config))
        self.executor = Executor(self.resolver, self.kept, backend, keep=self.kept.keep)
        self.started = time.perf_counter()

    def do(self) -> Iterator[Event]:
        """Train what is missing, stage by stage, and conclude."""
        for stage in self._stages():
            if self.executor.missing(stage):
                yield from execute_until(self.received, self.executor, stage)
            self.resolver.forget([trial.fold for trial in stage.trials if trial.fold is not None])
            if signal := self.received():
                self.kept.sync()
                yield Stopped(signal, len(self.kept), self.folder)
                return
        self.kept.sync()
        trained = collect(self.folds, self.trials, self.kept)
        outcome = conclude(self.folds, trained)
        summary = self._write(trained, outcome)
        data = words_of(self.folds.config.data.path, self.folds.first.folder)
        yield FoldsFinished(summary, self.folder, data)

    def _stages(self) -> Iterator[Stage]:
        """Yield stages whose folds have room in memory together: a function of the data alone."""
        rows = self.folds.first.dataset.parts["train"]
        num_bytes = sum(array.nbytes for array in rows.inputs.values())
        size = max(1, _STAGE_BYTES // max(1, num_bytes))
        for start in range(0, len(self.trials), size):
            yield Stage("folds", self.trials[start : start + size])

    def _write(self, trained: TrainedFolds, outcome: EnsembleOutcome) -> dict[str, Any]:
        folder, rows = self.folder, self.folds.rows
        _write_curves(folder, trained)
        with atomic_file(folder.out_of_fold) as file:
            prediction_table(rows, trained, outcome).write_parquet(file)
        summary = self._summary(trained, outcome)
        paths = [self.kept.path(trial) for trial in self.trials]
        write_summary(folder, summary)
        write_ensemble(
            folder, rows.whole.fitted.target, [*zip(paths, outcome.weights, strict=True)]
        )
        return summary

    def _summary(self, trained: TrainedFolds, outcome: EnsembleOutcome) -> dict[str, Any]:
        folds, results = self.folds, trained.results
        config, settings, plan = folds.config, folds.settings, folds.first.plan
        ends = {result.end for result in results}
        reason: StopReason = "epochs" if ends == {"epochs"} else "early_stopping"
        num_rows = {"train": len(folds.rows.rows), "validation": int(trained.held_out.sum())}
        if folds.rows.test_rows is not None:
            num_rows["test"] = len(folds.rows.test_rows)
        early = config.training.early_stopping
        return {
            "name": config.name,
            "task": folds.first.dataset.task,
            **outcome.figures,
            "best_epoch": int(statistics.median(result.best_epoch for result in results)),
            "watched": "loss" if early is None else early.metric,
            "epochs": max(len(result.train_losses) for result in results),
            "stop_reason": reason,
            "seconds": time.perf_counter() - self.started,
            "rows": num_rows,
            "parameters": plan.num_parameters,
            "trained_parameters": plan.num_trained,
            "start_from": None,
            "device": str(self.placement.device),
            "versions": {"dlcli": __version__, "torch": torch.__version__},
            "intervals": outcome.intervals,
            "folds": {
                **settings.model_dump(mode="json"),
                "one_repeat": outcome.single,
                "networks": [
                    self._network(result, weight)
                    for result, weight in zip(results, outcome.weights, strict=True)
                ],
            },
        }

    def _network(self, result: TrialResult, weight: float) -> dict[str, Any]:
        fold = int(result.trial.fold or 0)
        number, cut = self.folds.rows.num_folds, self.folds.rows.folds[fold]
        return {
            "file": f"{self.folder.members.name}/{self.kept.path(result.trial).name}",
            "repeat": fold // number + 1,
            "fold": fold % number + 1,
            "seed": result.trial.seed,
            "rows": {"train": len(cut.train), "validation": len(cut.validation)},
            "best_epoch": result.best_epoch,
            "epochs": len(result.train_losses),
            "stop_reason": result.end,
            "validation_loss": result.validation_losses[result.best_epoch - 1],
            "weight": weight,
        }


def _write_curves(folder: RunFolder, trained: TrainedFolds) -> None:
    """Write an object for each epoch: the mean losses of the trials that got there."""
    lines = []
    for epoch in range(max(len(result.train_losses) for result in trained.results)):
        there = [result for result in trained.results if epoch < len(result.train_losses)]
        lines.append(
            {
                "epoch": epoch + 1,
                "networks": len(there),
                "train": {"loss": statistics.fmean(one.train_losses[epoch] for one in there)},
                "validation": {
                    "loss": statistics.fmean(one.validation_losses[epoch] for one in there)
                },
            }
        )
    with atomic_file(folder.metrics) as file:
        file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
