"""Where trials are executed: by processes of this machine, or by a cluster."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from dlcli.trials.running.rate_steps import num_threads_of_steps, take_steps
from dlcli.trials.running.workers import Event as JobEvent
from dlcli.trials.running.workers import Job, execute, name_processes
from dlcli.trials.setup import ResolvedTrial, SharedSetup


@dataclass(frozen=True)
class NodesChanged:
    """Nodes of a cluster went away or joined; what was not finished on lost ones is done again."""

    num_nodes: int  # that are there now
    num_cores: int  # of all of them
    num_lost: int
    num_joined: int


Event = JobEvent | NodesChanged


class Backend(Protocol):
    """Executes trials. Exactly one job or one test runs on it at a time."""

    @property
    def num_cores(self) -> int:
        """How many jobs it executes at once, one thread each."""
        ...

    @property
    def num_nodes(self) -> int | None:
        """How many machines it has; None: this one alone."""
        ...

    def name_cores(self, num_cores: int) -> str:
        """Say in words on what so many jobs are executed at once."""
        ...

    def check(self, setup: SharedSetup) -> None:
        """Raise ConfigError where trials of a setup can't be executed."""
        ...

    def execute(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        """Do jobs, yielding each trial as soon as it is finished; closing it ends them."""
        ...

    def take_steps(
        self, trials: Sequence[ResolvedTrial], lrs: Sequence[float]
    ) -> Generator[tuple[float, ...] | None, None, None]:
        """Yield what `rate_steps.take_steps` does; None where there is nothing new for a while."""
        ...


@dataclass(frozen=True)
class LocalProcesses:
    """Processes of this machine, one a core."""

    num_cores: int

    @property
    def num_nodes(self) -> None:
        """None, as there is this machine alone."""
        return

    def name_cores(self, num_cores: int) -> str:
        """Count processes."""
        return name_processes(num_cores)

    def check(self, setup: SharedSetup) -> None:
        """Accept any setup."""

    def execute(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        """Do jobs, in this process where there is one core."""
        with closing(execute(jobs, self.num_cores)) as events:
            yield from events

    def take_steps(
        self, trials: Sequence[ResolvedTrial], lrs: Sequence[float]
    ) -> Generator[tuple[float, ...] | None, None, None]:
        """Take steps in this process."""
        yield from take_steps(trials, lrs, num_threads_of_steps(trials))
