"""Stages of trials in a run folder, executed until a signal comes."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.comparison.setup import num_processes
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, write_config
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.signals import Received, SignalName, stop_signals
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import Backend, LocalProcesses
from dlcli.trials.running.executor import Event, Executor
from dlcli.trials.setup import TrialResolver


@dataclass(frozen=True)
class Stopped:
    """A signal came; finished trials are kept."""

    signal: SignalName
    num_finished: int
    folder: RunFolder


@dataclass(frozen=True)
class OpenTrials:
    """What the trials of a command are resolved, executed and kept by."""

    placement: Placement
    resolver: TrialResolver
    backend: Backend
    folder: RunFolder
    finished: FinishedTrials
    received: Received
    notes: tuple[str, ...]  # on what changed since the folder was begun

    def execute(self, executor: Executor, stage: Stage) -> Iterator[Event]:
        """Execute a stage until it is over or a signal comes."""
        return execute_until(self.received, executor, stage)

    def stopped(self, signal: SignalName) -> Stopped:
        """Wait until all that is finished is on the disk, and return what to say of it."""
        self.finished.sync()
        return Stopped(signal, len(self.finished), self.folder)


def execute_until(received: Received, executor: Executor, stage: Stage) -> Iterator[Event]:
    """Execute a stage until it is over or a signal comes."""
    with closing(executor.execute(stage)) as events:
        for event in events:
            yield event
            if received():
                return


@contextmanager
def open_trials(
    prepared: Prepared,
    build_resolver: Callable[[Placement], TrialResolver],
    check_resumable: Callable[[RunFolder, Prepared], tuple[str, ...]],
    *,
    run_dir: Path | None,
    resume: bool,
    backend: Backend | None,
) -> Iterator[OpenTrials]:
    """Hold a run folder for the trials of a config, and listen to signals.

    Without a `backend`, processes of this machine execute them. To `resume`, the folder has to pass
    the check, which returns what changed. Raises DlcliErrors.
    """
    config = prepared.config
    placement = choose_placement(config.training.device, config.training.precision)
    configure_torch(placement)
    what = f"{prepared.plan.num_parameters:,} parameters and their rows"
    repair = "try smaller layers or a smaller training.batch_size"
    with memory_explained(placement.device, what, repair):
        resolver = build_resolver(placement)
        if backend is None:
            backend = LocalProcesses(num_processes(config))
        backend.check(resolver.base)
        with (
            stop_signals() as received,
            hold_run_folder(run_dir, config.name, resume=resume) as folder,
        ):
            notes = check_resumable(folder, prepared) if resume else ()
            write_config(folder, config, prepared.folder)
            finished = FinishedTrials(folder, prepared.checksums)
            yield OpenTrials(placement, resolver, backend, folder, finished, received, notes)
