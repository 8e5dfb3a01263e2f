"""How many threads share a step's arithmetic."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.network.plan import Plan
from dlcli.training.engines.cpu_limit import limit_of_processors


@dataclass(frozen=True)
class Threads:
    """A number of threads, with the reason for it."""

    number: int
    reason: str


def threads_allowed(num_threads: int) -> Threads:
    """Return how many of torch's threads the kernel allows; all where OMP_NUM_THREADS is set."""
    limit = None if "OMP_NUM_THREADS" in os.environ else limit_of_processors()
    if limit is not None and limit < num_threads:
        return Threads(limit, "the CPU limit of the container or batch job allows no more")
    return Threads(num_threads, "all that there are")


_ALLOWED = threads_allowed(torch.get_num_threads())
MAX_THREADS = _ALLOWED.number
# Multiplications of a batch's forward pass that are worth a thread: less of them, and the threads
# wait for each other longer than they work.
_WORTH_A_THREAD = 10_000_000


@contextmanager
def using_threads(number: int) -> Iterator[None]:
    """Let torch take so many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def most_threads(settings: TrainingConfig) -> int:
    """Return how many threads a config allows."""
    return MAX_THREADS if settings.threads == "auto" else settings.threads


def choose_threads(settings: TrainingConfig, plan: Plan, num_rows: int) -> Threads:
    """Choose by the config's word, for so many training rows."""
    if settings.threads != "auto":
        return Threads(settings.threads, "training.threads says so")
    what = "a batch" if settings.shards == 1 else "a part of a batch"
    work = settings.rows_per_shard(num_rows) * plan.multiply_adds
    worth = max(1, -(-work // _WORTH_A_THREAD))
    # As many processes as there are shards, so that all numbers of them have as many threads.
    most = max(1, MAX_THREADS // settings.shards)
    if worth < most:
        return Threads(worth, f"{what} of {work:,} multiplications has no work for more")
    if settings.shards > 1:
        return Threads(most, f"a share for each of {settings.shards} processes")
    return _ALLOWED
