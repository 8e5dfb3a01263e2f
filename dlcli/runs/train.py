"""`dlcli train`: a config → a run folder with the best weights and their honest figures."""

import json
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlcli import __version__
from dlcli.data.dataset import Part
from dlcli.errors import DivergedError, StorageError
from dlcli.model.builder import build_network
from dlcli.runs.preparation import Prepared
from dlcli.runs.run_folder import RunFolder, create_run_folder, write_config, write_summary
from dlcli.runs.signals import stop_signals
from dlcli.training.batches import Rows, num_steps, to_rows
from dlcli.training.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint
from dlcli.training.device import Placement, choose_placement, memory_explained
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import EpochResult, Progress, StopReason, Trainer, fit
from dlcli.training.losses import build_objective
from dlcli.training.optimizers import build_optimizer
from dlcli.training.schedules import Schedule

_SMOKE_BATCHES, _SMOKE_EPOCHS = 3, 2
_SMOKE_ROWS, _SMOKE_MOST_ROWS = 256, 4096  # of a full batch; of any


@dataclass(frozen=True)
class Started:
    """Everything fits; training begins."""

    prepared: Prepared
    placement: Placement
    folder: RunFolder


@dataclass(frozen=True)
class Finished:
    """Training is over; the run folder is complete."""

    summary: dict[str, Any]
    folder: RunFolder
    data: Path  # the file that was learned from


Event = Started | Progress | EpochResult | Finished


def train(
    prepared: Prepared, *, run_dir: Path | None = None, smoke: bool = False
) -> Iterator[Event]:
    """Train, yielding what happens as it happens; the last event is `Finished`.

    With `smoke`, every stage runs on a few batches in a temporary folder, which is gone after the
    last event. Raises DlcliErrors. A run folder stays only where an epoch was finished.
    """
    config = prepared.config
    placement = choose_placement(config.training.device, config.training.precision)
    if smoke:
        temporary = tempfile.TemporaryDirectory(prefix="dlcli-smoke-")
        with temporary as path, _memory_explained(prepared, placement):
            yield from _run(_shorten(prepared), placement, RunFolder(Path(path)))
        return
    was_there = run_dir is not None and run_dir.is_dir()
    folder = create_run_folder(run_dir, config.name)
    try:
        with _memory_explained(prepared, placement):
            yield from _run(prepared, placement, folder)
    finally:
        if not folder.best.exists():
            for file in folder.path.iterdir():
                file.unlink()
            if not was_there:
                folder.path.rmdir()


@dataclass(frozen=True)
class _Run:
    """A run that has begun."""

    prepared: Prepared
    trainer: Trainer
    rows: dict[str, Rows]  # of each part, on the device
    folder: RunFolder
    started: float


def _run(prepared: Prepared, placement: Placement, folder: RunFolder) -> Iterator[Event]:
    device = placement.device
    rows = {name: to_rows(part, device) for name, part in prepared.dataset.parts.items()}
    run = _Run(prepared, build_trainer(prepared, placement), rows, folder, time.perf_counter())
    write_config(folder, prepared.config, prepared.folder)
    yield Started(prepared, placement, folder)
    last: EpochResult | None = None
    with stop_signals() as asked_to_stop:
        try:
            for event in fit(run.trainer, rows["train"], rows.get("validation")):
                if isinstance(event, EpochResult):
                    last = event
                    _save(run, event.epoch, is_best=event.is_best)
                    _append_metrics(folder, event)
                yield event
                if asked_to_stop():
                    break
        except DivergedError as error:
            if last is None:
                raise
            _finish(run, last, "diverged")
            raise DivergedError(
                f"{error}. The weights of the best epoch, {last.best_epoch}, are in {folder.best}"
            ) from None
        if last is None:  # stopped inside of the first epoch: what there is, is saved
            _save(run, 0, is_best=True)
        reason = asked_to_stop() or (last.stop_reason if last else None) or "epochs"
        summary = _finish(run, last, reason)
        yield Finished(summary, folder, prepared.folder / prepared.config.data.path)


def _memory_explained(prepared: Prepared, placement: Placement) -> AbstractContextManager[None]:
    size = prepared.config.training.batch_size
    return memory_explained(
        placement.device,
        f"{prepared.plan.num_parameters:,} parameters and training.batch_size: {size}",
        "try smaller layers, or smaller batches and as many more training.accumulate_batches",
    )


def build_trainer(prepared: Prepared, placement: Placement) -> Trainer:
    """Build what a run is made of, its network on its device."""
    config, target = prepared.config, prepared.dataset.fitted.target
    device, settings = placement.device, config.training
    network = build_network(prepared.plan, seed=config.seed).to(device)
    steps_per_epoch = num_steps(
        len(prepared.dataset.parts["train"]), settings.batch_size, settings.accumulate_batches
    )
    return Trainer(
        network=network,
        objective=build_objective(prepared.loss, target, device),
        optimizer=build_optimizer(config.optimizer, network.parameters()),
        schedule=Schedule(config.schedule, config.optimizer.lr, steps_per_epoch, settings.epochs),
        target=target,
        placement=placement,
        settings=settings,
        seed=config.seed,
    )


def _shorten(prepared: Prepared) -> Prepared:
    """Return the same run over a few batches and epochs, rows taken evenly from all of them."""
    training = prepared.config.training
    size = _SMOKE_ROWS if training.batch_size == "full" else training.batch_size
    num_rows = min(size * training.accumulate_batches * _SMOKE_BATCHES, _SMOKE_MOST_ROWS)
    num_rows -= num_rows % size if size < num_rows else 0  # a short batch may be too short
    parts = {name: _thin_out(part, num_rows) for name, part in prepared.dataset.parts.items()}
    dataset = replace(prepared.dataset, parts=parts)
    epochs = min(training.epochs, _SMOKE_EPOCHS)
    shorter = training.model_copy(update={"epochs": epochs})
    config = prepared.config.model_copy(update={"training": shorter})
    return replace(prepared, config=config, dataset=dataset)


def _thin_out(part: Part, num_rows: int) -> Part:
    rows = np.unique(np.linspace(0, len(part) - 1, num_rows).astype(np.int64))
    return Part(part.features[rows], part.targets[rows])


def _save(run: _Run, epoch: int, *, is_best: bool) -> None:
    checkpoint = Checkpoint(
        config=run.prepared.config,
        fitted=run.prepared.dataset.fitted,
        epoch=epoch,
        checksums=run.prepared.dataset.checksums,
        weights=run.trainer.network.state_dict(),
    )
    for path in (run.folder.last, run.folder.best) if is_best else (run.folder.last,):
        save_checkpoint(path, checkpoint)


def _append_metrics(folder: RunFolder, result: EpochResult) -> None:
    line = {
        "epoch": result.epoch,
        "seconds": result.seconds,
        "lr": result.lr,
        "gradient_norm": result.gradient_norm if math.isfinite(result.gradient_norm) else None,
        "train": {"loss": result.train_loss},
        "validation": result.validation,
    }
    try:
        with folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
    except OSError as error:
        raise StorageError(f"{folder.metrics}: cannot write it: {error.strerror}") from None


def _finish(run: _Run, last: EpochResult | None, reason: StopReason) -> dict[str, Any]:
    """Write the summary, its figures those of the best weights as they stand in the file.

    The test rows are looked at here and nowhere else, and only when training came to its end.
    """
    prepared, trainer = run.prepared, run.trainer
    checkpoint = load_checkpoint(run.folder.best)
    load_weights(trainer.network, checkpoint, run.folder.best)
    figures: dict[str, dict[str, Any] | None] = {"validation": None, "test": None}
    judged = ("validation", "test") if reason in ("epochs", "early_stopping") else ("validation",)
    for name in judged:
        if name in run.rows:
            figures[name] = evaluate(
                trainer.network,
                trainer.objective,
                run.rows[name],
                target=trainer.target,
                placement=trainer.placement,
            )
    summary = {
        "name": prepared.config.name,
        "task": prepared.dataset.task,
        **figures,
        "best_epoch": checkpoint.epoch,
        "epochs": last.epoch if last else 0,
        "stop_reason": reason,
        "seconds": time.perf_counter() - run.started,
        "rows": {name: len(part) for name, part in run.rows.items()},
        "parameters": prepared.plan.num_parameters,
        "device": str(trainer.placement.device),
        "versions": {"dlcli": __version__, "torch": torch.__version__},
    }
    write_summary(run.folder, summary)
    return summary
