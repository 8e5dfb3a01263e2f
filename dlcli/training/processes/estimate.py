"""How long a step takes on several numbers of processes, from what is measured here.

Computing is measured for the rows that a process would have, on the threads that it would have;
exchanging follows from the latency and the bandwidth between the processes there are.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from dlcli.training.engines.threads import using_threads
from dlcli.training.processes.group import Group

_NUM_STEPS, _MAX_SECONDS = 15, 0.2
_CLEARED_BYTES = 2**25  # written between two exchanges, as a step does: caches hold other things


@dataclass(frozen=True)
class StepEstimate:
    """A step on so many processes, as many on each machine as here."""

    num_processes: int
    compute_seconds: float
    exchange_seconds: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.compute_seconds + self.exchange_seconds


@dataclass(frozen=True)
class Link:
    """What an exchange between the processes takes."""

    latency_seconds: float  # for each other process
    seconds_a_byte: float

    def exchange_seconds(self, num_bytes: int, num_processes: int) -> float:
        """Return the seconds of summing so many bytes over so many processes."""
        others = num_processes - 1
        sent = 2 * others / num_processes * num_bytes
        return others * self.latency_seconds + sent * self.seconds_a_byte


def estimate_steps(
    group: Group,
    num_rows: int,
    num_bytes: int,
    step_of: Callable[[int], Callable[[], object]],
    threads_of: Callable[[int], int],
) -> list[StepEstimate]:
    """Return estimates for 1, this group's, and twice as many processes.

    `num_rows` are those of a step, `num_bytes` those of the gradient, and `step_of` returns what
    takes a step on so many rows, `threads_of` the threads of so many processes. Each process of the
    group calls this.
    """
    link, number = _measure_link(group, num_bytes), group.num_processes
    found = []
    for count in (1, number, 2 * number):
        threads = threads_of(count)
        compute = 0.0
        if count > 1 or group.is_first:  # one by itself has the machine for itself
            step = step_of(-(-num_rows // count))
            with using_threads(threads):
                compute = _median_seconds(step)
        compute = max(group.everyones(compute))
        crowding = _crowding(count * threads) / _crowding(min(count, number) * threads)
        exchange = link.exchange_seconds(num_bytes, count)
        found.append(StepEstimate(count, compute * crowding, exchange * crowding))
    return found


def _crowding(num_threads: int) -> float:
    """Return how many threads share a core."""
    return max(1.0, num_threads / (os.cpu_count() or 1))


def _measure_link(group: Group, num_bytes: int) -> Link:
    number = group.num_processes
    other = torch.zeros(_CLEARED_BYTES // 4)

    def seconds(num_numbers: int) -> float:
        size = -(-num_numbers // number) * number
        parts, total = torch.zeros(1, size), torch.zeros(size)
        found = []
        for _ in range(_NUM_STEPS):
            parts.fill_(1.0)
            other.fill_(1.0)
            started = time.perf_counter()
            group.sum_in_order(parts, total)
            found.append(time.perf_counter() - started)
        return statistics.median(found)

    short, long = seconds(1), seconds(num_bytes // 4)
    sent = 2 * (number - 1) / number * num_bytes
    short, long = max(group.everyones((short, long)))
    return Link(short / (number - 1), max(0.0, long - short) / sent)


def _median_seconds(step: Callable[[], object]) -> float:
    step(), step()  # recorded
    found: list[float] = []
    begun = time.perf_counter()
    while len(found) < 3 or (
        len(found) < _NUM_STEPS and time.perf_counter() - begun < _MAX_SECONDS
    ):
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
