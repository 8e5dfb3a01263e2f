"""Trials over the processor's cores, one process and one thread each.

Threads that share a small step wait for each other longer than they work, and threads of one
process wait for Python's global interpreter lock; processes avoid both.
"""

import pickle
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from dlcli.errors import OutOfMemoryError
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.stacked import StackProgress, run_stacked
from dlcli.trials.setup import ResolvedTrial

# A copy of this process where that is safe: libraries of other systems have threads in theirs.
IS_FORKED = sys.platform == "linux"
_PROGRESS_SECONDS = 0.2  # between two reports of a process on how far it is


@dataclass(frozen=True)
class StepsTaken:
    """Steps that were taken since the last such event, counted trial by trial."""

    num_steps: int


@dataclass(frozen=True)
class Job:
    """Trials that one process executes: those of one setup stacked, or one after the other."""

    trials: tuple[ResolvedTrial, ...]
    is_stacked: bool


Event = FinishedTrial | StepsTaken


def name_processes(number: int) -> str:
    """Say in words how many processes there are."""
    return "one process" if number == 1 else f"{number} processes"


def execute_here(job: Job, *, steps_a_report: int | None = None) -> Iterator[Event]:
    """Do a job in this process, on one thread.

    Steps are reported from time to time, or after so many of the job, so that the same job yields
    the same events when it is done again.
    """
    torch.set_num_threads(1)
    run = run_stacked if job.is_stacked else run_sequentially
    num_steps, unreported, reported = 0, 0, time.perf_counter()
    for event in run(job.trials):
        if isinstance(event, FinishedTrial):
            yield event
            continue
        num_steps += event.num_runs if isinstance(event, StackProgress) else 1
        unreported += 1
        if steps_a_report is None:
            is_due = time.perf_counter() - reported > _PROGRESS_SECONDS
        else:
            is_due = unreported == steps_a_report
        if is_due:
            yield StepsTaken(num_steps)
            num_steps, unreported, reported = 0, 0, time.perf_counter()
    yield StepsTaken(num_steps)


def execute(jobs: Sequence[Job], num_processes: int) -> Generator[Event, None, None]:
    """Do jobs in order, as many at once as there are processes, each as soon as one is free.

    With one process, or one job, it is done here. Raises OutOfMemoryError where the system has
    ended one.
    """
    on_cpu = all(job.trials[0].setup.placement.device.type == "cpu" for job in jobs)
    if min(num_processes, len(jobs)) == 1 or not on_cpu:
        for job in jobs:
            yield from execute_here(job)
        return
    waiting = list(enumerate(jobs))
    with _workers(jobs, min(num_processes, len(jobs))) as workers:
        for worker in workers:
            worker.begin(waiting)
        while busy := {worker.connection: worker for worker in workers if worker.is_busy}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                event = worker.read()
                if event is None:
                    worker.begin(waiting)
                else:
                    yield event


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    is_busy: bool = False

    def begin(self, waiting: list[tuple[int, Job]]) -> None:
        """Give it the next job, if there is one."""
        self.is_busy = bool(waiting)
        if waiting:
            self.connection.send(waiting.pop(0)[0])

    def read(self) -> Event | None:
        """Return its next event; None: its job is done. What went wrong there is raised here."""
        try:
            event = pickle.loads(self.connection.recv_bytes())  # noqa: S301 - our own process
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode
            raise OutOfMemoryError(
                f"a process that trains was ended by the system (exit code {code}): most likely "
                "the memory is full; try a smaller training.batch_size or fewer --seeds"
            ) from None
        if isinstance(event, BaseException):
            raise event
        return event  # type: ignore[no-any-return]


@contextmanager
def _workers(jobs: Sequence[Job], number: int) -> Iterator[list[_Worker]]:
    """Start processes that have all that this one has, and end them at the end."""
    context = get_context("fork") if IS_FORKED else get_context("spawn")
    workers: list[_Worker] = []
    try:
        for _ in range(number):
            here, there = context.Pipe()
            # A copy has these too; while it does, none of them sees that nobody listens any more.
            copied = [here, *(worker.connection for worker in workers)] if IS_FORKED else []
            process = context.Process(target=_serve, args=(jobs, there, copied), daemon=True)
            process.start()
            there.close()
            workers.append(_Worker(process, here))
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()  # there is nothing that it would lose
            worker.connection.close()
            worker.process.join()


def _serve(jobs: Sequence[Job], connection: Connection, copied: list[Connection]) -> None:
    """Execute the jobs whose numbers arrive, until the connection is closed."""
    for other in copied:
        other.close()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # the parent process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        while True:
            job = jobs[connection.recv()]
            for event in _events_or_error(job):
                connection.send_bytes(pickle.dumps(event))
            connection.send_bytes(pickle.dumps(None))
    except (EOFError, ConnectionError):  # nobody listens any more
        return


def _events_or_error(job: Job) -> Iterator[Event | Exception]:
    """Yield what comes of a job; last, what went wrong, which the parent process raises."""
    try:
        yield from execute_here(job)
    except Exception as error:
        yield error
