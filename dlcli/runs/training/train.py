"""`dlcli train`: a config → a run folder with the best weights and their metrics."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dlcli.errors import DivergedError, StorageError
from dlcli.runs.calibration import Calibration
from dlcli.runs.folder.epoch_line import epoch_line, metrics_in
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.lock import hold_run_folder, there_meanwhile
from dlcli.runs.folder.run_folder import RunFolder, resume_command, write_config, write_summary
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.events import StoppedBeforeTraining, TrainingEvent, TrainingFinished
from dlcli.runs.training.follower import (
    SMALLER_BATCH,
    Interruption,
    agreed_interruption,
    follow,
)
from dlcli.runs.training.recorder import Recorder
from dlcli.runs.training.resume import Resumed, restore_trainer, surroundings
from dlcli.runs.training.run import (
    AllRows,
    TrainingRun,
    build_trainer,
    encode_to_disk,
    estimate,
    place,
    start_together,
    summarise,
)
from dlcli.runs.training.saver import Captured, Saver
from dlcli.runs.training.signals import EXIT_CODES, Received
from dlcli.runs.training.smoke import shorten
from dlcli.runs.training.trackers import Trackers, open_trackers
from dlcli.tables.sources import words_of
from dlcli.training.device import memory_explained
from dlcli.training.engines.threads import choose_threads
from dlcli.training.loop import EpochResult, Progress, StopReason, fit
from dlcli.training.memory import suggest_batch_size
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.rows.parts import rows_on
from dlcli.training.saving.checkpoint import (
    Checkpoint,
    RunSoFar,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from dlcli.training.saving.state import TrainingState, capture, restore_state, to_cpu


def train(
    prepared: Prepared,
    *,
    run_dir: Path | None = None,
    smoke: bool = False,
    resume: bool = False,
    go_on: str | None = None,
    group: Group = ALONE,
    received: Received = lambda: None,
) -> Iterator[TrainingEvent]:
    """Train, yielding events; the last is `TrainingFinished` or `StoppedBeforeTraining`.

    Streamed rows are encoded first, and files that cells name decoded, with `Reading` events.
    `received` returns the signal that stops it, if one came.

    With `smoke`, every stage runs on a few batches in a temporary folder, which is removed after
    the last event. With `resume`, the run in `run_dir` resumes from its last checkpoint, or starts
    if there is none; `go_on` is the command for a new run that begins with its weights. Raises
    DlcliErrors. A run folder is kept only if something was saved.

    Of a group of processes, each calls this and yields these events; the first one alone writes the
    run folder.
    """
    if smoke:
        prepared = shorten(prepared)
    config = prepared.config
    for reading in prepared.dataset.decoding():
        yield reading
        if signal := received():
            yield StoppedBeforeTraining(signal)
            return
    placement = place(prepared, group)
    threads = choose_threads(config.training, prepared.plan, prepared.dataset.num_rows["train"])
    torch.set_num_threads(threads.number)
    what = f"{prepared.plan.num_parameters:,} parameters and their rows"
    with memory_explained(placement.device, what, "try smaller layers"):
        trainer = build_trainer(prepared, placement, group)
        parts = prepared.dataset.parts
        rows: AllRows = {name: rows_on(part, placement.device) for name, part in parts.items()}
    if signal := received():
        yield StoppedBeforeTraining(signal)
        return
    with ExitStack() as stack:

        def begin() -> tuple[RunFolder, Resumed | None, TrainingState | None] | None:
            if not group.is_first:
                return None
            if smoke:
                temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlcli-smoke-"))
                folder = RunFolder(Path(temporary))
            else:
                folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=resume))
            resumed = restore_trainer(folder, prepared, trainer, go_on) if resume else None
            return folder, resumed, capture(trainer) if resumed and group is not ALONE else None

        begun = group.together(begin)[0]
        assert begun is not None, "the first process has a folder"
        folder, resumed, state = begun
        if state is not None and not group.is_first:
            restore_state(trainer, state)
        stack.enter_context(there_meanwhile(folder.path))  # on another machine, it may not be
        for reading in encode_to_disk(prepared.dataset, folder.path, placement.device, rows, stack):
            yield reading
            if signal := received():
                yield StoppedBeforeTraining(signal)
                return
        if resumed is None:
            start_together(trainer, rows["train"])
        run = TrainingRun(
            prepared,
            threads,
            trainer,
            rows,
            folder,
            resumed,
            is_kept=not smoke,
            estimates=estimate(prepared, trainer, rows),
        )
        stop = agreed_interruption(run, received)
        yield from _run(run, stop) if group.is_first else follow(run, stop)


def _run(run: TrainingRun, stop: Callable[[], Interruption | None]) -> Iterator[TrainingEvent]:
    prepared, trainer, folder = run.prepared, run.trainer, run.folder
    write_config(
        folder, prepared.config, prepared.folder
    )  # first: it marks the folder as a run folder
    metrics = LinesFile(folder.metrics, run.resumed.run.metrics_bytes if run.resumed else 0)
    if trainer.stop_reason is None:
        folder.summary.unlink(missing_ok=True)  # of the shorter run
    yield run.started_event()
    recorder = Recorder(folder, trainer, run.rows["train"]) if run.report is not None else None
    saver = Saver(folder, metrics, prepared.config.checkpoint, recorder)
    names = prepared.config.trackers if run.is_kept else ()
    opening = open_trackers(names, folder, prepared.config.name, trainer.epoch.number)
    with closing(saver), opening as trackers:
        try:
            # Closed explicitly: a second SIGINT while it closes must be raised.
            with closing(_train(run, saver, metrics, trackers, recorder)) as events:
                for event in events:
                    yield event
                    if stop():
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
        reason = trainer.stop_reason or stop()
        assert reason is not None, "training ends only for a reason"
        summary, calibration = _finish(run, reason)
        trackers.is_finished = reason not in EXIT_CODES
        trackers.log(metrics_in({"test": summary["test"]}), summary["epochs"])
    data = words_of(prepared.config.data.path, prepared.folder)
    yield TrainingFinished(
        summary,
        folder,
        data,
        None if recorder is None or reason in EXIT_CODES else run.material(recorder, calibration),
        tuple(trackers.lost),
        calibration,
    )


def _train(
    run: TrainingRun,
    saver: Saver,
    metrics: LinesFile,
    trackers: Trackers,
    recorder: Recorder | None,
) -> Generator[Progress | EpochResult, None, None]:
    """Train, log and record each epoch, and save when due."""
    trainer, rows = run.trainer, run.rows
    explained = memory_explained(
        trainer.placement.device,
        run.load,
        SMALLER_BATCH if trainer.sharded else lambda: suggest_batch_size(trainer, rows["train"]),
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


def _capture(run: TrainingRun, metrics: LinesFile) -> Captured:
    """Return the current checkpoint, from which the run can resume, and the best one."""
    state = capture(run.trainer)
    numbers, dataset = state.numbers, run.prepared.dataset
    last = Checkpoint(
        config=run.prepared.config,
        fitted=dataset.fitted,
        checksums=dataset.checksums,
        epoch=numbers.epoch - (numbers.num_steps == 0),
        weights=state.judged or state.weights,
        state=state,
        run=RunSoFar(
            seconds=run.seconds,
            metrics_bytes=metrics.num_bytes,
            surroundings=surroundings(run.trainer.placement),
        ),
    )
    best = replace(last, epoch=numbers.best_epoch or 0, weights=state.best, state=None, run=None)
    return last, best if numbers.best_epoch else None


def _save_end(run: TrainingRun, saver: Saver, metrics: LinesFile) -> None:
    """Save and wait; before the first epoch is done, the current weights count as the best."""
    last, best = _capture(run, metrics)
    saver.save(lambda: (last, best or replace(last, epoch=0, state=None, run=None)))
    saver.wait()


def _explain_divergence(run: TrainingRun, saver: Saver, error: DivergedError) -> DivergedError:
    """Save the best weights so far, and add to the error what is kept."""
    saver.wait()
    saver.save_recorded()
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


def _finish(run: TrainingRun, reason: StopReason) -> tuple[dict[str, Any], Calibration | None]:
    """Write the summary, with metrics of the best weights as read from their file.

    The temperature, if one is applied, is added to that file first.
    """
    best = run.folder.best
    checkpoint = load_checkpoint(best)
    load_weights(run.trainer.network, checkpoint, best)
    summary, calibration = summarise(run, reason, best_epoch=checkpoint.epoch)
    if calibration is not None and calibration.temperature is not None:
        save_checkpoint(best, replace(checkpoint, temperature=calibration.temperature))
    write_summary(run.folder, summary)
    return summary, calibration
