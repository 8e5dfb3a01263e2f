"""A run under way: what it is made of, and how it ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from dlcli import __version__
from dlcli.config.config import ReportKind
from dlcli.data.dataset import Dataset
from dlcli.data.disk_cache import open_row_caches
from dlcli.data.encoding import fill_row_caches
from dlcli.data.kept_rows import choose_evenly, max_rows_of
from dlcli.data.stream import Reading
from dlcli.errors import ConfigError
from dlcli.explaining.forecasts.scores import score_baselines
from dlcli.network.builder import prepare_to_train
from dlcli.runs.calibration import Calibration, calibrate
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.events import ReportMaterial, TrainingStarted
from dlcli.runs.training.recorder import Recorder
from dlcli.runs.training.resume import Resumed
from dlcli.training.assembly import assemble, initialise_from_rows
from dlcli.training.device import Placement, choose_placement, configure_torch
from dlcli.training.engines.threads import Threads, choose_threads
from dlcli.training.evaluation import KeptOutputs, evaluate
from dlcli.training.loop import End, StopReason, Trainer
from dlcli.training.processes.estimate import StepEstimate, estimate_steps
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.rows.batches import Rows
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.parts import AnyRows, in_order, rows_on
from dlcli.training.rows.steps import first_rows
from dlcli.training.rows.streamed import StreamedRows
from dlcli.training.saving.state import copy_into, to_cpu

AllRows = dict[str, AnyRows]  # by part


def build_trainer(prepared: Prepared, placement: Placement, group: Group = ALONE) -> Trainer:
    """Build the trainer of a prepared run, which the processes of a group share."""
    config, dataset = prepared.config, prepared.dataset
    return assemble(
        prepared.plan,
        loss=prepared.loss,
        optimizer=config.optimizer,
        schedule=config.schedule,
        settings=config.training,
        target=dataset.fitted.target,
        placement=placement,
        seed=config.seed,
        num_rows=dataset.num_rows["train"],
        group=group,
    )


def start_together(trainer: Trainer, train: AnyRows) -> None:
    """Set the weights that begin with statistics of training rows, once for all processes.

    Processors of another kind round in their own way: all processes take the first one's weights.
    """
    group, network = trainer.group, trainer.network
    if not trainer.plan.starts_from_rows:
        return

    def weights() -> dict[str, Tensor] | None:
        if not group.is_first:
            return None
        initialise_from_rows(network, trainer.plan, train, seed=trainer.seed)
        return to_cpu(network.state_dict())

    found = group.together(weights)[0]
    assert found is not None, "the first process has weights"
    copy_into(network.state_dict(), found)


def encode_to_disk(
    dataset: Dataset, folder: Path, device: torch.device, rows: AllRows, stack: ExitStack
) -> Iterator[Reading]:
    """Encode a dataset's streamed rows into unnamed files, which are closed with the stack.

    Adds them to `rows` by part; does nothing if the dataset is in memory. Raises DataError if a row
    can't be encoded, StorageError if the disk is full.
    """
    if dataset.stream is None:
        return
    caches = stack.enter_context(open_row_caches(folder, dataset.fitted, dataset.num_rows))
    yield from fill_row_caches(
        dataset.fitted, dataset.stream, caches, dataset.num_rows, dataset.kept
    )
    rows |= {name: StreamedRows(cache, device) for name, cache in caches.items()}


def place(prepared: Prepared, group: Group) -> Placement:
    """Choose the device and precision of each process of a group, ConfigError; set torch up."""
    training = prepared.config.training
    placements = group.together(
        lambda: choose_placement(training.device, training.precision, group.local_rank)
    )
    configure_torch(placements[group.rank])
    return placements[group.rank]


def estimate(prepared: Prepared, trainer: Trainer, rows: AllRows) -> tuple[StepEstimate, ...]:
    """Estimate a step on several numbers of processes; each of the trainer's group calls this."""
    group, settings = trainer.group, trainer.settings
    if group.num_processes == 1:
        return ()
    uncut = settings.model_copy(update={"shards": 1})
    alone = replace(prepared, config=prepared.config.model_copy(update={"training": uncut}))
    with torch.random.fork_rng():
        other = build_trainer(alone, trainer.placement)
        prepare_to_train(other.network, other.plan)
        train = rows["train"]

        def step_of(num_rows: int) -> Callable[[], object]:
            batch = first_rows(train, num_rows, companions_of(settings.augment))
            batches = (batch,) * settings.accumulate_batches
            return lambda: other.stepper.take_step(batches, number=0)

        num_rows = settings.rows_per_batch(len(train))
        num_bytes = trainer.optimizer.parameters.values.nbytes

        def threads_of(num_processes: int) -> int:
            cut = settings.model_copy(update={"shards": num_processes})
            return choose_threads(cut, prepared.plan, len(train)).number

        return tuple(estimate_steps(group, num_rows, num_bytes, step_of, threads_of))


def estimate_alone(prepared: Prepared, group: Group) -> tuple[StepEstimate, ...]:
    """Estimate a step of a run that does not begin, on rows in memory; ConfigError for others."""
    placement = place(prepared, group)

    def refuse_streamed() -> None:
        if prepared.dataset.stream is not None:
            raise ConfigError(
                "steps on streamed rows are measured as training starts; set data.streaming: "
                "false, or see what `dlcli train --processes N` shows first"
            )

    group.together(refuse_streamed)
    train = rows_on(prepared.dataset.parts["train"], placement.device)
    return estimate(prepared, build_trainer(prepared, placement, group), {"train": train})


@dataclass(frozen=True)
class TrainingRun:
    """The state of one call of `train`."""

    prepared: Prepared
    threads: Threads
    trainer: Trainer
    rows: AllRows
    folder: RunFolder
    resumed: Resumed | None
    is_kept: bool  # whether the folder is kept after the end
    outputs: dict[str, KeptOutputs] = field(default_factory=dict)  # of evaluated rows, by part
    estimates: tuple[StepEstimate, ...] = ()  # of a step, for several processes
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The duration of the run, without interruptions."""
        before = self.resumed.run.seconds if self.resumed else 0.0
        return before + time.perf_counter() - self.started

    @property
    def report(self) -> ReportKind | None:
        """The page that this process makes at the end."""
        kind = self.prepared.config.report
        is_wanted = self.is_kept and self.trainer.group.is_first
        return kind if is_wanted and not isinstance(kind, bool) else None

    @property
    def is_calibrated(self) -> bool:
        """Whether a temperature for its probabilities is looked for."""
        is_wanted = self.prepared.config.calibration != "none"
        return is_wanted and bool(self.trainer.target.class_names)

    @property
    def is_out_of_time(self) -> bool:
        """Whether this process has trained for as long as `training.max_seconds` allows."""
        limit = self.prepared.config.training.max_seconds
        return limit is not None and time.perf_counter() - self.started >= limit

    @property
    def load(self) -> str:
        """What the device's memory has to hold, for messages."""
        size = self.prepared.config.training.batch_size
        return f"{self.prepared.plan.num_parameters:,} parameters and training.batch_size: {size}"

    def started_event(self) -> TrainingStarted:
        """Return what to tell as it begins."""
        trainer = self.trainer
        return TrainingStarted(
            self.prepared,
            trainer.placement,
            trainer.engine,
            self.threads,
            trainer.group.num_processes,
            self.estimates,
            self.folder,
            self.resumed,
        )

    @property
    def max_rows(self) -> int:
        """How many rows of each part a report has, at most."""
        return max_rows_of(self.prepared.dataset.fitted.input_fields)

    def sample(self, name: str) -> tuple[Rows, Tensor | None]:
        """Return the rows of a part that a report has, and the network's outputs, if kept."""
        part, kept = self.rows[name], self.outputs.get(name)
        max_rows = self.max_rows
        chosen = choose_evenly(len(part), max_rows) if isinstance(part, Rows) else None
        outputs = None if kept is None else torch.cat(kept.blocks)
        if chosen is None or not isinstance(part, Rows):
            return part.head(max_rows), outputs
        indices = torch.from_numpy(chosen)
        return part.take(indices.to(part.device)), None if outputs is None else outputs[indices]

    def material(self, recorder: Recorder, calibration: Calibration | None) -> ReportMaterial:
        """Return what a report is made from, after the network has been evaluated."""
        assert self.report is not None, "a report is wanted"
        rows: dict[str, Rows] = {}
        outputs: dict[str, Tensor] = {}
        for name in self.rows:
            rows[name], found = self.sample(name)
            if found is not None:
                outputs[name] = found
        return ReportMaterial(
            self.report,
            self.prepared,
            self.trainer,
            rows,
            outputs,
            recorder.statistics,
            recorder.snapshots,
            calibration,
        )


def summarise(
    run: TrainingRun, reason: StopReason, *, best_epoch: int
) -> tuple[dict[str, Any], Calibration | None]:
    """Return the summary of a run whose network has the best weights, and its calibration."""
    prepared, trainer = run.prepared, run.trainer
    figures, calibration = _evaluate(run, reason)
    summary = {
        "name": prepared.config.name,
        "task": prepared.dataset.task,
        **figures,
        "calibration": None if calibration is None else calibration.as_document(),
        "best_epoch": best_epoch,
        "watched": trainer.watch.watched if "validation" in run.rows else None,
        "epochs": trainer.epoch.number - 1,
        "stop_reason": reason,
        "seconds": run.seconds,
        "rows": {name: len(part) for name, part in run.rows.items()},
        "parameters": prepared.plan.num_parameters,
        "trained_parameters": prepared.plan.num_trained,
        "start_from": prepared.config.model.start_from,
        "device": str(trainer.placement.device),
        "versions": {"dlcli": __version__, "torch": torch.__version__},
    }
    return summary, calibration


def _evaluate(
    run: TrainingRun, reason: StopReason
) -> tuple[dict[str, dict[str, Any] | None], Calibration | None]:
    """Return the figures of the network on the parts that it didn't learn from.

    The test rows are used only here, and only if training has come to its end; then probabilities
    are calibrated on the validation rows, whose own figures stay those that were watched.
    """
    figures: dict[str, dict[str, Any] | None] = {"validation": None, "test": None}
    calibration = None
    is_complete = reason in get_args(End)
    if "validation" in run.rows:
        figures["validation"] = _figures(run, reason, "validation")
        if is_complete and run.is_calibrated:
            rows, outputs = run.sample("validation")
            assert outputs is not None, "they are kept where probabilities are calibrated"
            prepared, trainer = run.prepared, run.trainer
            calibration = calibrate(prepared.config, prepared.loss, trainer.target, rows, outputs)
    if is_complete and "test" in run.rows:
        temperature = None if calibration is None else calibration.temperature
        figures["test"] = _figures(run, reason, "test", temperature)
    parts = run.prepared.dataset.windows
    if parts and run.trainer.group.is_first and is_complete:
        judged = [name for name, found in figures.items() if found is not None]
        scores = score_baselines(run.prepared.dataset.fitted, parts, judged)
        for name, found in scores.items():
            figures[name] = {**(figures[name] or {}), "baselines": found}
    return figures, calibration


def _figures(
    run: TrainingRun, reason: StopReason, name: str, temperature: float | None = None
) -> dict[str, Any]:
    """Return the figures of a part, and keep the outputs that are used later."""
    trainer, rows = run.trainer, run.rows[name]
    if run.report is not None or (name == "validation" and run.is_calibrated):
        run.outputs[name] = KeptOutputs(len(rows) if isinstance(rows, Rows) else run.max_rows)
    return evaluate(
        trainer.network,
        trainer.objective,
        in_order(rows),
        target=trainer.target,
        placement=trainer.placement,
        group=trainer.group if reason != "diverged" else ALONE,
        kept=run.outputs.get(name),
        temperature=temperature,
    )
