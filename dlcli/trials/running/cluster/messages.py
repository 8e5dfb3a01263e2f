"""What is asked of the process that talks to Ray, and what it says of itself.

Beside it, `PackedSetup` brings a setup, which has the number of those before it; events are those
of jobs, `NodesChanged` and the losses of steps; what goes wrong comes as an exception.
"""

from dataclasses import dataclass

from dlcli.trials.running.cluster.tasks import PackedTrials


@dataclass(frozen=True)
class Train:
    """Ask for jobs to be done: the number of the setup, the trials, whether they are stacked."""

    jobs: tuple[tuple[int, PackedTrials, bool], ...]


@dataclass(frozen=True)
class TakeSteps:
    """Ask for the steps of a range test."""

    setup: int
    trials: PackedTrials
    lrs: tuple[float, ...]
    num_threads: int


@dataclass(frozen=True)
class Cancel:
    """End what is being done."""


@dataclass(frozen=True)
class Done:
    """All that was asked for is done, or has ended."""


@dataclass(frozen=True)
class Connected:
    """The cluster is there; so are its nodes."""

    num_nodes: int
    num_cores: int
