"""A Ray cluster as what executes trials: Ray schedules, repeats and moves the data."""

import importlib.util
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from dlcli.errors import ConfigError, DlcliError, StorageError
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.backend import Event, NodesChanged
from dlcli.trials.running.cluster.driver import serve
from dlcli.trials.running.cluster.messages import Cancel, Connected, Done, TakeSteps, Train
from dlcli.trials.running.cluster.tasks import PackedSetup, PackedTrials
from dlcli.trials.running.rate_steps import num_threads_of_steps
from dlcli.trials.running.workers import IS_FORKED, Job, StepsTaken
from dlcli.trials.setup import ResolvedTrial, SharedSetup

LOCAL = "local"
_REACH_SECONDS = 5.0  # for a connection to the address
_CONNECT_SECONDS = 60.0  # for Ray to start, or to be reached
_SILENT_SECONDS = 0.2  # after which those who wait for an event can see whether to go on
_END_SECONDS = 20.0  # for Ray to end


@contextmanager
def open_cluster(address: str, num_cores: int) -> Iterator["RayCluster"]:
    """Connect to a Ray cluster, HOST:PORT; `local` starts one of so many cores, and ends it.

    ConfigError where Ray is not installed, the cluster can't be reached within a minute, or its
    nodes have other versions of what computes.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--ray: Ray is not installed: pip install 'dlcli[ray]'")
    if address != LOCAL:
        _check_reachable(address)
    context = get_context("fork") if IS_FORKED else get_context("spawn")
    here, there = context.Pipe()
    copied = [here] if IS_FORKED else []
    process = context.Process(target=serve, args=(there, copied, address, num_cores))
    process.start()
    there.close()
    try:
        yield RayCluster(here, _await_connection(here, address))
    finally:
        here.close()
        _end(process)


def _check_reachable(address: str) -> None:
    """Raise ConfigError where nothing listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ConfigError(
            f"--ray {address}: give the HOST:PORT that `ray start --head` printed, or `local`"
        )
    try:
        socket.create_connection((host, int(port)), _REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray {address}: nothing answers there ({error}); start a cluster with `ray start "
            "--head`, correct the address, or use --ray local"
        ) from None


def _await_connection(connection: Connection, address: str) -> Connected:
    message: object = None
    with suppress(EOFError):
        if connection.poll(_CONNECT_SECONDS):
            message = connection.recv()
    if isinstance(message, Connected):
        return message
    if isinstance(message, DlcliError):
        raise message
    why = " ".join(str(message or f"no answer within {_CONNECT_SECONDS:.0f} s").split())
    repair = (
        "look whether this machine has memory and disk left for it, or leave --ray out"
        if address == LOCAL
        else "is it a Ray cluster of the same version of Ray and Python, does it have the same "
        "authentication (RAY_AUTH_MODE, RAY_AUTH_TOKEN), and is this machine one of its nodes "
        "(ray start --address)?"
    )
    raise ConfigError(f"--ray {address}: can't connect to Ray: {why}; {repair}")


def _end(process: BaseProcess) -> None:
    """Wait until it has left the cluster, or ended its own."""
    process.join(_END_SECONDS if process.is_alive() else None)
    if process.is_alive():
        process.kill()
        process.join()


class RayCluster:
    """The nodes of a cluster, as a Backend."""

    def __init__(self, connection: Connection, connected: Connected) -> None:
        """Take the connection to the process that talks to Ray, and what it said first."""
        self._connection = connection
        self._num_nodes, self._num_cores = connected.num_nodes, connected.num_cores
        self._most_cores = connected.num_cores
        self._setups: dict[SharedSetup, int] = {}  # that were sent

    @property
    def num_cores(self) -> int:
        """The cores of all nodes, as many as there ever were.

        Stacks of another size round otherwise: while nodes come back, trials are cut as before.
        """
        return self._most_cores

    @property
    def num_nodes(self) -> int:
        """The nodes that have cores."""
        return self._num_nodes

    def name_cores(self, num_cores: int) -> str:
        """Count cores and nodes that are there now."""
        num_cores = min(num_cores, self._num_cores)
        cores = "one core" if num_cores == 1 else f"{num_cores} cores"
        nodes = "one node" if self._num_nodes == 1 else f"{self._num_nodes} nodes"
        return f"{cores} of {nodes}"

    def check(self, setup: SharedSetup) -> None:
        """Raise ConfigError where trials of a setup train on another device than the CPU."""
        device = setup.placement.device.type
        if device != "cpu":
            raise ConfigError(
                f"--ray trains on CPUs, and the device here is {device}: add --set "
                "training.device=cpu, or leave --ray out"
            )

    def execute(self, jobs: Sequence[Job]) -> Generator[Event, None, None]:
        """Do jobs as tasks of the cluster."""
        request = Train(
            tuple(
                (self._number(job.trials[0].setup), PackedTrials.of(job.trials), job.is_stacked)
                for job in jobs
            )
        )
        with closing(self._events_of(request)) as messages:
            for message in messages:
                assert not isinstance(message, tuple), "jobs have no losses of steps"
                yield message

    def take_steps(
        self, trials: Sequence[ResolvedTrial], lrs: Sequence[float]
    ) -> Generator[tuple[float, ...] | None, None, None]:
        """Take steps in one task, with as many threads as here."""
        number = self._number(trials[0].setup)
        num_threads = num_threads_of_steps(trials)
        request = TakeSteps(number, PackedTrials.of(trials), tuple(lrs), num_threads)
        with closing(self._events_of(request)) as messages:
            for message in messages:
                if isinstance(message, tuple):
                    yield from message
                else:
                    yield None

    def _number(self, setup: SharedSetup) -> int:
        """Return the number of a setup; send it when it is new."""
        self.check(setup)
        if setup not in self._setups:
            self._setups[setup] = len(self._setups)
            self._send(PackedSetup.of(setup))
        return self._setups[setup]

    def _events_of(
        self, request: Train | TakeSteps
    ) -> Generator[Event | tuple[tuple[float, ...], ...], None, None]:
        """Yield what comes of a request; no steps where there is nothing for a while."""
        self._send(request)
        is_over, error = False, None
        try:
            while True:
                if not self._connection.poll(_SILENT_SECONDS):
                    yield StepsTaken(0)
                    continue
                message = self._receive()
                match message:
                    case Done():
                        is_over = True
                        break
                    case Exception():
                        error = message
                    case NodesChanged():
                        self._num_nodes, self._num_cores = message.num_nodes, message.num_cores
                        self._most_cores = max(self._most_cores, self._num_cores)
                        yield message
                    case FinishedTrial() | StepsTaken() | tuple():
                        yield message
        finally:
            if not is_over:
                self._cancel()
        if error is not None:
            raise error

    def _cancel(self) -> None:
        """End a request, and read away what still comes of it."""
        with suppress(StorageError):
            self._send(Cancel())
            while self._connection.poll(_END_SECONDS) and not isinstance(self._receive(), Done):
                pass

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise _lost() from None

    def _receive(self) -> object:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise _lost() from None


def _lost() -> StorageError:
    return StorageError(
        "the Ray cluster is gone: its head node has ended or can't be reached any more. Start it "
        "again and go on with --resume: finished runs are kept"
    )
