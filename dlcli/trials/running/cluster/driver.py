"""The process that talks to Ray: it submits tasks and passes on what they yield.

It is a process of its own as Ray writes to the screen, takes signals over, and may end the process
it runs in where a cluster goes away.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from dlcli.errors import ConfigError
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.backend import NodesChanged
from dlcli.trials.running.cluster.messages import Cancel, Connected, Done, TakeSteps, Train
from dlcli.trials.running.cluster.session import (
    MAX_RETRIES,
    explained,
    leave_the_terminal,
    open_ray,
)
from dlcli.trials.running.cluster.tasks import (
    PackedSetup,
    PackedTrials,
    take_range_steps,
    train_trials,
)
from dlcli.trials.running.cluster.versions import make_probe, refuse_other_versions

_WAIT_SECONDS = 0.2  # for events, before signs of life of nodes and of who asked are looked at
_NODES_SECONDS = 1.0  # between two looks at the nodes
_PROBE_SECONDS = 60.0  # for starting a process on a node


Node = dict[str, Any]  # as `ray.nodes` describes it


def serve(connection: Connection, copied: Sequence[Connection], address: str, cores: int) -> None:
    """Connect to a cluster, or start one of so many cores where the address is `local`.

    Then do what is asked for until the connection is closed, and leave.
    """
    for other in copied:
        other.close()
    leave_the_terminal()
    try:
        with open_ray(address, cores) as ray:
            driver = _Driver(connection, ray)
            connection.send(driver.connected())
            while True:
                driver.do(connection.recv())
    except (EOFError, BrokenPipeError):  # nobody asks any more
        return
    except Exception as error:
        with contextlib.suppress(OSError):
            connection.send(explained(error))


@dataclass
class _Stream:
    """A task at work, and which of its trials are not finished yet."""

    setup: int
    is_stacked: bool
    unfinished: dict[Any, Any]  # by trial
    generator: Any
    waiting_for: Any  # its generator, or what came of it and is on its way


@dataclass
class _Driver:
    connection: Connection
    ray: Any
    setups: list[Any] = field(default_factory=list)  # in Ray's object store, by number
    nodes: dict[str, Node] = field(default_factory=dict)
    looked: float = 0.0

    def __post_init__(self) -> None:
        self.versions = make_probe()()
        self.nodes = self._living_nodes()
        if not self.nodes:
            raise ConfigError("--ray: the cluster has no cores; start a node: ray start --address")
        for node in self.nodes.values():
            self._check_versions(node)

    def connected(self) -> Connected:
        """Say what there is."""
        return Connected(len(self.nodes), self._num_cores())

    def do(self, request: object) -> None:
        """Do what is asked for; send what comes of it."""
        match request:
            case PackedSetup():
                self.setups.append(self.ray.put(request))
                return
            case Cancel():  # too late
                return
            case Train():
                run = self._train(request)
            case TakeSteps():
                run = self._take_steps(request)
            case _:
                raise AssertionError(request)
        try:
            for event in run:
                self.connection.send(event)
        except EOFError:  # nobody asks any more
            raise
        except Exception as error:
            self.connection.send(explained(error))
        self.connection.send(Done())

    def _train(self, request: Train) -> Iterator[object]:
        streams: dict[Any, _Stream] = {}
        for setup, trials, is_stacked in request.jobs:
            self._submit(streams, setup, trials, is_stacked)
        try:
            yield from self._follow(streams)
        finally:
            for stream in streams.values():
                self._cancel(stream.generator)

    def _submit(
        self, streams: dict[Any, _Stream], setup: int, trials: PackedTrials, is_stacked: bool
    ) -> None:
        generator = self._task(train_trials, 1).remote(
            self.setups[setup], trials, is_stacked, self.versions
        )
        unfinished = dict(trials.trials)
        streams[generator] = _Stream(setup, is_stacked, unfinished, generator, generator)

    def _follow(self, streams: dict[Any, _Stream]) -> Iterator[object]:
        """Yield what tasks yield, and changes of the nodes, until all are over."""
        while streams and not self._is_cancelled():
            yield from self._changes()
            [*ready], _ = self.ray.wait(list(streams), timeout=_WAIT_SECONDS)
            for waited in ready:
                stream = streams.pop(waited)
                event = self._advance(stream)
                if event is not None:
                    yield event
                if stream.waiting_for is not None:
                    streams[stream.waiting_for] = stream
                elif stream.unfinished:
                    left = PackedTrials(tuple(stream.unfinished.items()))
                    self._submit(streams, stream.setup, left, stream.is_stacked)

    def _advance(self, stream: _Stream) -> object | None:
        """Return an event of a stream that has something; None: one that was kept, or no more."""
        try:
            if stream.waiting_for is stream.generator:
                stream.waiting_for = next(stream.generator)
                return None
            event: object = self.ray.get(stream.waiting_for)
        except StopIteration:
            stream.waiting_for = None
            return None
        except self.ray.exceptions.StreamingGeneratorReplayInconsistentError:
            stream.waiting_for = None  # done again by a processor that rounds otherwise
            return None
        stream.waiting_for = stream.generator
        if isinstance(event, FinishedTrial) and event.trial not in stream.unfinished:
            return None
        if isinstance(event, FinishedTrial):
            del stream.unfinished[event.trial]
        return event

    def _take_steps(self, request: TakeSteps) -> Iterator[object]:
        """Yield losses, step by step."""
        most = max(int(node["Resources"]["CPU"]) for node in self.nodes.values())
        generator = self._task(take_range_steps, min(request.num_threads, most)).remote(
            self.setups[request.setup],
            request.trials,
            request.lrs,
            request.num_threads,
            self.versions,
        )
        try:
            while not self._is_cancelled():
                yield from self._changes()
                ready, _ = self.ray.wait([generator], timeout=_WAIT_SECONDS)
                if ready:
                    try:
                        yield self.ray.get(next(generator))
                    except StopIteration:
                        return
        finally:
            self._cancel(generator)

    def _task(self, function: Any, num_cores: int) -> Any:  # noqa: ANN401 - Ray's
        return self.ray.remote(function).options(
            num_cpus=num_cores,
            num_returns="streaming",
            max_retries=MAX_RETRIES,
        )

    def _cancel(self, generator: Any) -> None:  # noqa: ANN401 - Ray's
        with contextlib.suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.cancel(generator, force=True)

    def _is_cancelled(self) -> bool:
        return self.connection.poll() and isinstance(self.connection.recv(), Cancel)

    def _changes(self) -> Iterator[NodesChanged]:
        """Look at the nodes from time to time; check new ones."""
        if time.monotonic() - self.looked < _NODES_SECONDS:
            return
        self.looked = time.monotonic()
        before, self.nodes = self.nodes, self._living_nodes()
        lost, joined = before.keys() - self.nodes.keys(), self.nodes.keys() - before.keys()
        if lost or joined:
            for name in joined:
                self._check_versions(self.nodes[name])
            yield NodesChanged(len(self.nodes), self._num_cores(), len(lost), len(joined))

    def _living_nodes(self) -> dict[str, Node]:
        """Return the nodes that have cores."""
        return {
            node["NodeID"]: node
            for node in self.ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        }

    def _num_cores(self) -> int:
        return sum(int(node["Resources"]["CPU"]) for node in self.nodes.values())

    def _check_versions(self, node: Node) -> None:
        """Raise ConfigError where a node has other versions; nothing where it has just died."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        probe = self.ray.remote(make_probe()).options(num_cpus=0, scheduling_strategy=there)
        try:
            found = self.ray.get(probe.remote(), timeout=_PROBE_SECONDS)
        except self.ray.exceptions.GetTimeoutError:
            raise ConfigError(
                f"--ray: node {node['NodeManagerAddress']} started no process within "
                f"{_PROBE_SECONDS:.0f} s; look at it with `ray status`, or end it with `ray stop`"
            ) from None
        except self.ray.exceptions.RayError:
            return
        refuse_other_versions(self.versions, found, node["NodeManagerAddress"])
