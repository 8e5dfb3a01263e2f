"""`dlcli train`: a config → a run folder with the best weights and their metrics."""

import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from dlcli import __version__
from dlcli.data.stream import Reading
from dlcli.errors import DivergedError, StorageError
from dlcli.runs.folder.epoch_line import epoch_line, metrics_in
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, resume_command, write_config, write_summary
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.encode_to_disk import AllRows, encode_to_disk
from dlcli.runs.training.recorder import Recorder
from dlcli.runs.training.resume import Resumed, restore_trainer, surroundings
from dlcli.runs.training.saver import Captured, Saver
from dlcli.runs.training.signals import EXIT_CODES, SignalName, stop_signals
from dlcli.runs.training.smoke import shorten
from dlcli.runs.training.trackers import Trackers, open_trackers
from dlcli.training.assembly import assemble
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.training.engines.choice import Engine
from dlcli.training.engines.threads import Threads, choose_threads
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import EpochResult, Progress, StopReason, Trainer, fit
from dlcli.training.memory import suggest_batch_size
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.rows.batches import to_rows
from dlcli.training.rows.streamed import in_order
from dlcli.training.saving.checkpoint import Checkpoint, RunSoFar, load_checkpoint, load_weights
from dlcli.training.saving.state import TrainingState, capture, copy_into, restore_state, to_cpu

_SMALLER_BATCH = "try a smaller training.batch_size, or more processes"


@dataclass(frozen=True)
class TrainingStarted:
    """Training starts or resumes."""

    prepared: Prepared
    placement: Placement
    engine: Engine
    threads: Threads
    num_processes: int  # that share each batch
    folder: RunFolder
    resumed: Resumed | None


@dataclass(frozen=True)
class TrainingFinished:
    """Training is over; the run folder is complete."""

    summary: dict[str, Any]
    folder: RunFolder
    data: Path  # the training data
    makes_report: bool  # whether the config asks for one, of a run that is kept
    notes: tuple[str, ...] = ()  # on trackers that failed

    @property
    def stop_reason(self) -> StopReason:
        """Why training ended."""
        reason: StopReason = self.summary["stop_reason"]
        return reason


@dataclass(frozen=True)
class StoppedBeforeTraining:
    """A signal came before training started: there is nothing to save."""

    signal: SignalName


TrainingEvent = (
    Reading | StoppedBeforeTraining | TrainingStarted | Progress | EpochResult | TrainingFinished
)


def train(
    prepared: Prepared,
    *,
    run_dir: Path | None = None,
    smoke: bool = False,
    resume: bool = False,
    group: Group = ALONE,
) -> Iterator[TrainingEvent]:
    """Train, yielding events; the last is `TrainingFinished` or `StoppedBeforeTraining`.

    Streamed rows are encoded first, with `Reading` events.

    With `smoke`, every stage runs on a few batches in a temporary folder, which is removed after
    the last event. With `resume`, the run in `run_dir` resumes from its last checkpoint, or starts
    if there is none. Raises DlcliErrors. A run folder is kept only if something was saved.

    Of a group of processes, each calls this: the first one writes the run folder and yields all of
    that, the others only that they have started and finished.
    """
    if smoke:
        prepared = shorten(prepared)
    config = prepared.config
    placement = choose_placement(
        config.training.device, config.training.precision, group.local_rank
    )
    configure_torch(placement)
    threads = choose_threads(config.training, prepared.plan, prepared.dataset.num_rows["train"])
    torch.set_num_threads(threads.number)
    what = f"{prepared.plan.num_parameters:,} parameters and their rows"
    with memory_explained(placement.device, what, "try smaller layers"):
        trainer = build_trainer(prepared, placement, group)
        parts = prepared.dataset.parts
        rows: AllRows = {name: to_rows(part, placement.device) for name, part in parts.items()}
    with ExitStack() as stack:
        stop_signal = stack.enter_context(stop_signals())

        def begin() -> tuple[RunFolder, Resumed | None, TrainingState | None]:
            if smoke or not group.is_first:
                temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlcli-"))
                return RunFolder(Path(temporary)), None, None
            folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=resume))
            resumed = restore_trainer(folder, prepared, trainer) if resume else None
            return folder, resumed, capture(trainer) if resumed else None

        begun = group.together(begin)
        folder, resumed, _ = begun[group.rank]
        state = begun[0][2]
        if state is not None and not group.is_first:
            restore_state(trainer, state)
        for reading in encode_to_disk(prepared.dataset, folder.path, placement.device, rows, stack):
            yield reading
            if signal := stop_signal():
                yield StoppedBeforeTraining(signal)
                return
        run = _TrainingRun(prepared, threads, trainer, rows, folder, resumed, is_kept=not smoke)
        stop = _agreed(trainer, stop_signal)
        yield from _run(run, stop) if group.is_first else _follow(run, stop)


def _agreed(
    trainer: Trainer, received: Callable[[], SignalName | None]
) -> Callable[[], SignalName | None]:
    """Return a function that returns the signal to stop for, the same in all processes."""
    sharded = trainer.sharded
    if trainer.group.num_processes == 1 or sharded is None:
        return received
    names = list(EXIT_CODES)

    def vote() -> int | None:
        name = received()
        return None if name is None else names.index(name)

    def agreed() -> SignalName | None:
        index = sharded.agreed_vote()
        return None if index is None else names[index]

    sharded.vote = vote
    return agreed


@dataclass(frozen=True)
class _TrainingRun:
    """The state of one call of `train`."""

    prepared: Prepared
    threads: Threads
    trainer: Trainer
    rows: AllRows
    folder: RunFolder
    resumed: Resumed | None
    is_kept: bool  # whether the folder is kept after the end
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """The duration of the run, without interruptions."""
        before = self.resumed.run.seconds if self.resumed else 0.0
        return before + time.perf_counter() - self.started


def _run(
    run: _TrainingRun, stop_signal: Callable[[], SignalName | None]
) -> Iterator[TrainingEvent]:
    prepared, trainer, folder = run.prepared, run.trainer, run.folder
    write_config(
        folder, prepared.config, prepared.folder
    )  # first: it marks the folder as a run folder
    metrics = LinesFile(folder.metrics, run.resumed.run.metrics_bytes if run.resumed else 0)
    if trainer.stop_reason is None:
        folder.summary.unlink(missing_ok=True)  # of the shorter run
    yield _started(run)
    saver = Saver(folder, metrics, prepared.config.checkpoint)
    names = prepared.config.trackers if run.is_kept else ()
    opening = open_trackers(names, folder, prepared.config.name, trainer.epoch.number)
    with closing(saver), opening as trackers:
        try:
            # Closed explicitly: a second SIGINT while it closes must be raised.
            with closing(_train(run, saver, metrics, trackers)) as events:
                for event in events:
                    yield event
                    if stop_signal():
                        break
            _save_end(run, saver, metrics)
        except DivergedError as error:
            raise _explain_divergence(run, saver, error) from None
        except StorageError as error:
            if not (run.is_kept and folder.last.exists()):
                raise
            raise StorageError(
                f"{error}; {folder.last} is whole, resume from it with: {resume_command(folder)}"
            ) from None
        reason = trainer.stop_reason or stop_signal()
        assert reason is not None, "training ends only for a reason"
        summary = _finish(run, reason)
        trackers.is_finished = reason == trainer.stop_reason
        trackers.log(metrics_in({"test": summary["test"]}), summary["epochs"])
    data = prepared.folder / prepared.config.data.path
    yield TrainingFinished(
        summary, folder, data, run.is_kept and prepared.config.report, tuple(trackers.lost)
    )


def _started(run: _TrainingRun) -> TrainingStarted:
    trainer = run.trainer
    return TrainingStarted(
        run.prepared,
        trainer.placement,
        trainer.engine,
        run.threads,
        trainer.group.num_processes,
        run.folder,
        run.resumed,
    )


def _follow(run: _TrainingRun, stop: Callable[[], SignalName | None]) -> Iterator[TrainingEvent]:
    """Do the share of a process that is not the first one: all but writing."""
    trainer, rows = run.trainer, run.rows
    yield _started(run)
    explained = memory_explained(trainer.placement.device, _load(run.prepared), _SMALLER_BATCH)
    with explained, closing(fit(trainer, rows["train"], rows.get("validation"))) as events:
        for event in events:
            yield event
            if stop():
                break
    reason = trainer.stop_reason or stop()
    assert reason is not None, "training ends only for a reason"
    best = trainer.best
    if best is not None:
        copy_into(trainer.network.state_dict(), best.weights)
    summary = _summary(run, reason, best_epoch=best.epoch if best else 0)
    yield TrainingFinished(summary, run.folder, Path(), makes_report=False)


def _train(
    run: _TrainingRun, saver: Saver, metrics: LinesFile, trackers: Trackers
) -> Generator[Progress | EpochResult, None, None]:
    """Train, log and record each epoch, and save when due."""
    trainer, rows = run.trainer, run.rows
    is_recorded = run.is_kept and run.prepared.config.report
    recorder = Recorder(run.folder, trainer, rows["train"]) if is_recorded else None
    explained = memory_explained(
        trainer.placement.device,
        _load(run.prepared),
        _SMALLER_BATCH if trainer.sharded else lambda: suggest_batch_size(trainer, rows["train"]),
    )
    with explained, closing(fit(trainer, rows["train"], rows.get("validation"))) as events:
        for event in events:
            at_epoch_end = isinstance(event, EpochResult)
            if isinstance(event, EpochResult):
                line = epoch_line(event)
                metrics.append(line)
                trackers.log(metrics_in(line), event.epoch)
            if recorder is not None:
                recorder.observe(event)
            if saver.is_due(trainer.num_steps, at_epoch_end=at_epoch_end):
                saver.save(lambda: _capture(run, metrics))
            yield event


def _load(prepared: Prepared) -> str:
    """Return what the device's memory has to hold, for messages."""
    size = prepared.config.training.batch_size
    return f"{prepared.plan.num_parameters:,} parameters and training.batch_size: {size}"


def _capture(run: _TrainingRun, metrics: LinesFile) -> Captured:
    """Return the current checkpoint, from which the run can resume, and the best one."""
    state = capture(run.trainer)
    numbers, dataset = state.numbers, run.prepared.dataset
    last = Checkpoint(
        config=run.prepared.config,
        fitted=dataset.fitted,
        checksums=dataset.checksums,
        epoch=numbers.epoch - (numbers.num_steps == 0),
        weights=state.weights,
        state=state,
        run=RunSoFar(
            seconds=run.seconds,
            metrics_bytes=metrics.num_bytes,
            surroundings=surroundings(run.trainer.placement),
        ),
    )
    best = replace(last, epoch=numbers.best_epoch or 0, weights=state.best, state=None, run=None)
    return last, best if numbers.best_epoch else None


def _save_end(run: _TrainingRun, saver: Saver, metrics: LinesFile) -> None:
    """Save and wait; before the first epoch is done, the current weights count as the best."""
    last, best = _capture(run, metrics)
    saver.save(lambda: (last, best or replace(last, epoch=0, state=None, run=None)))
    saver.wait()


def _explain_divergence(run: _TrainingRun, saver: Saver, error: DivergedError) -> DivergedError:
    """Save the best weights so far, and add to the error what is kept."""
    saver.wait()
    folder, dataset, best = run.folder, run.prepared.dataset, run.trainer.best
    left = ""
    if best is not None:
        config, weights = run.prepared.config, to_cpu(best.weights)
        saver.save_best(Checkpoint(config, dataset.fitted, dataset.checksums, best.epoch, weights))
        _finish(run, "diverged")
        left = f". The weights of the best epoch, {best.epoch}, are in {folder.best}"
    if folder.last.exists():
        last = load_checkpoint(folder.last)
        assert last.state is not None, "last holds the state of the run"
        num_steps = last.state.numbers.num_steps
        step = f", after step {num_steps} of it" if num_steps else ""
        left += f". The last good checkpoint, {folder.last}, is of epoch {last.epoch}{step}"
    return DivergedError(f"{error}{left}") if run.is_kept else error


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


def _finish(run: _TrainingRun, reason: StopReason) -> dict[str, Any]:
    """Write the summary, with metrics of the best weights as read from their file."""
    checkpoint = load_checkpoint(run.folder.best)
    load_weights(run.trainer.network, checkpoint, run.folder.best)
    summary = _summary(run, reason, best_epoch=checkpoint.epoch)
    write_summary(run.folder, summary)
    return summary


def _summary(run: _TrainingRun, reason: StopReason, *, best_epoch: int) -> dict[str, Any]:
    """Return the summary of a run whose network has the best weights."""
    prepared, trainer = run.prepared, run.trainer
    return {
        "name": prepared.config.name,
        "task": prepared.dataset.task,
        **_evaluate(run, reason),
        "best_epoch": best_epoch,
        "epochs": trainer.epoch.number - 1,
        "stop_reason": reason,
        "seconds": run.seconds,
        "rows": {name: len(part) for name, part in run.rows.items()},
        "parameters": prepared.plan.num_parameters,
        "device": str(trainer.placement.device),
        "versions": {"dlcli": __version__, "torch": torch.__version__},
    }


def _evaluate(run: _TrainingRun, reason: StopReason) -> dict[str, dict[str, Any] | None]:
    """Return the figures of the network on the parts that it didn't learn from.

    The test rows are used only here, and only if training has come to its end.
    """
    trainer = run.trainer
    figures: dict[str, dict[str, Any] | None] = {"validation": None, "test": None}
    is_complete = reason in ("epochs", "early_stopping")
    for name in ("validation", "test") if is_complete else ("validation",):
        if name in run.rows:
            figures[name] = evaluate(
                trainer.network,
                trainer.objective,
                in_order(run.rows[name]),
                target=trainer.target,
                placement=trainer.placement,
                group=trainer.group if reason != "diverged" else ALONE,
            )
    return figures
