"""Runs of a comparison over the processor's cores, one process and one thread each.

Small steps shared out over threads wait for each other longer than they work, and threads of one
process wait for Python's lock: processes do neither.
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
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.stacked import StackProgress, run_stacked
from dlcli.trials.trial import FinishedTrial, RunSpec, SharedSetup

# A copy of this process where that is safe: libraries of other systems have threads in theirs.
IS_FORKED = sys.platform == "linux"
_PROGRESS_SECONDS = 0.2  # between two words of a process on how far it is


@dataclass(frozen=True)
class StepsTaken:
    """Steps that were taken since the last word, counted run by run."""

    num_steps: int


@dataclass(frozen=True)
class Job:
    """Runs that one process does, together or one after the other."""

    specs: tuple[RunSpec, ...]
    are_together: bool


Event = FinishedTrial | StepsTaken


def do(problem: SharedSetup, job: Job) -> Iterator[Event]:
    """Do a job in this process, on one thread."""
    torch.set_num_threads(1)
    run = run_stacked if job.are_together else run_sequentially
    num_steps, told = 0, time.perf_counter()
    for event in run(problem, job.specs):
        if isinstance(event, FinishedTrial):
            yield event
            continue
        num_steps += event.num_runs if isinstance(event, StackProgress) else 1
        if time.perf_counter() - told > _PROGRESS_SECONDS:
            yield StepsTaken(num_steps)
            num_steps, told = 0, time.perf_counter()
    yield StepsTaken(num_steps)


def do_all(
    problem: SharedSetup, jobs: Sequence[Job], num_processes: int
) -> Generator[Event, None, None]:
    """Do jobs in order, as many at once as there are processes, each as soon as one is free.

    With one process, or one job, it is done here. Raises OutOfMemoryError where the system has
    ended one.
    """
    if min(num_processes, len(jobs)) == 1 or problem.placement.device.type != "cpu":
        for job in jobs:
            yield from do(problem, job)
        return
    waiting = list(enumerate(jobs))
    with _workers(problem, jobs, min(num_processes, len(jobs))) as workers:
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
        """Return what it says; None: its job is done. What went wrong there is raised here."""
        try:
            said = pickle.loads(self.connection.recv_bytes())  # noqa: S301 - our own process
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise OutOfMemoryError(
                f"a process that trains was ended by the system (exit code {code}): most likely "
                "the memory is full; try a smaller training.batch_size or fewer --seeds"
            ) from None
        if isinstance(said, BaseException):
            raise said
        return said  # type: ignore[no-any-return]


@contextmanager
def _workers(problem: SharedSetup, jobs: Sequence[Job], number: int) -> Iterator[list[_Worker]]:
    """Start processes that have all that this one has, and end them at the end."""
    context = get_context("fork") if IS_FORKED else get_context("spawn")
    workers: list[_Worker] = []
    try:
        for _ in range(number):
            own, other = context.Pipe()
            # A copy has these too; while it does, none of them sees that nobody listens any more.
            copied = [own, *(worker.connection for worker in workers)] if IS_FORKED else []
            process = context.Process(
                target=_serve, args=(problem, jobs, other, copied), daemon=True
            )
            process.start()
            other.close()
            workers.append(_Worker(process, own))
        yield workers
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.kill()  # there is nothing that it would lose
            worker.process.join()


def _serve(
    problem: SharedSetup, jobs: Sequence[Job], connection: Connection, copied: list[Connection]
) -> None:
    """Do the jobs that are asked for, until nobody asks any more."""
    for other in copied:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks for the jobs decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        while True:
            job = jobs[connection.recv()]
            for said in _told(problem, job):
                connection.send_bytes(pickle.dumps(said))
            connection.send_bytes(pickle.dumps(None))
    except (EOFError, BrokenPipeError):  # nobody listens any more
        return


def _told(problem: SharedSetup, job: Job) -> Iterator[Event | Exception]:
    """Yield what comes of a job; last, what went wrong, for who asked to raise it."""
    try:
        yield from do(problem, job)
    except Exception as error:
        yield error
