"""The share of a process that is not the first one of its group: all but writing."""

from collections.abc import Callable, Iterator
from contextlib import closing

from dlcli.runs.training.events import TrainingEvent, TrainingFinished
from dlcli.runs.training.run import TrainingRun, summarise
from dlcli.runs.training.signals import EXIT_CODES, SignalName
from dlcli.training.device import memory_explained
from dlcli.training.loop import Trainer, fit
from dlcli.training.saving.state import copy_into

SMALLER_BATCH = "try a smaller training.batch_size, or more processes"


def follow(run: TrainingRun, stop: Callable[[], SignalName | None]) -> Iterator[TrainingEvent]:
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
    summary = summarise(run, reason, best_epoch=best.epoch if best else 0)
    yield TrainingFinished(summary, run.folder, (), makes_report=False)


def agreed_signal(
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
