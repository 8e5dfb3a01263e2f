"""The share of a process that is not the first one of its group: all but writing."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Literal

from dlcli.runs.training.events import TrainingEvent, TrainingFinished
from dlcli.runs.training.run import TrainingRun, summarise
from dlcli.runs.training.signals import EXIT_CODES, Received, SignalName
from dlcli.training.device import memory_explained
from dlcli.training.loop import fit
from dlcli.training.saving.state import copy_into

Interruption = SignalName | Literal["time"]  # what ends training from outside of it
SMALLER_BATCH = "try a smaller training.batch_size, or more processes"


def follow(run: TrainingRun, stop: Callable[[], Interruption | None]) -> Iterator[TrainingEvent]:
    """Train, yielding the events that the first process yields."""
    trainer, rows = run.trainer, run.rows
    yield run.started_event()
    explained = memory_explained(trainer.placement.device, run.load, SMALLER_BATCH)
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
    summary, _ = summarise(run, reason, best_epoch=best.epoch if best else 0)
    yield TrainingFinished(summary, run.folder, (), material=None)


def agreed_interruption(run: TrainingRun, received: Received) -> Callable[[], Interruption | None]:
    """Return a function that says what to stop for, if anything, the same in all processes.

    Any process may receive a signal, or see first that the time is used up.
    """
    trainer = run.trainer
    sharded = trainer.sharded

    def noticed() -> Interruption | None:
        if name := received():
            return name
        return "time" if run.is_out_of_time else None

    if trainer.group.num_processes == 1 or sharded is None:
        return noticed
    names: list[Interruption] = [*EXIT_CODES, "time"]

    def vote() -> int | None:
        name = noticed()
        return None if name is None else names.index(name)

    def agreed() -> Interruption | None:
        index = sharded.agreed_vote()
        return None if index is None else names[index]

    sharded.vote = vote
    return agreed
