"""Joining the other processes, and leaving them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from dlcli.errors import ConfigError
from dlcli.training.processes.heartbeat import Heartbeat
from dlcli.training.processes.rank import Rank
from dlcli.training.processes.several import TIMEOUT, Several

_JOIN_SECONDS = 300  # for all processes to come
_JOIN_LIMIT = timedelta(seconds=_JOIN_SECONDS)


@contextmanager
def joined(rank: Rank) -> Iterator[tuple[Several, Heartbeat]]:
    """Within the block, be one of several processes; ConfigError where they don't come together."""
    with _ended_by_signals():
        store = _open_store(rank)
        heartbeat = Heartbeat(rank)
        _wait_for_all(store, "here", rank)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend,
            store=store,
            rank=rank.number,
            world_size=rank.num_processes,
            timeout=TIMEOUT,
        )
    heartbeat.start()
    try:
        yield Several(rank.number, rank.num_processes, rank.local_number), heartbeat
        # Nobody takes its connections down while another one still reads from them.
        _wait_for_all(store, "done", rank, TIMEOUT)
        heartbeat.stop()
        dist.destroy_process_group()
        _wait_for_all(store, "left", rank)
    finally:
        heartbeat.stop()


def _open_store(rank: Rank) -> Store:
    try:
        store = TCPStore(
            rank.address,
            rank.port,
            rank.num_processes,
            is_master=rank.number == 0 and not rank.has_agent,
            timeout=_JOIN_LIMIT,
            wait_for_workers=False,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"process {rank.number} can't meet the others at {rank.address}:{rank.port}: "
            f"{_first_line(error)}; is the port taken, or the machine another one? Set MASTER_PORT "
            "or MASTER_ADDR"
        ) from None
    return PrefixStore(f"dlcli-{rank.attempt}", store)


def _wait_for_all(store: Store, what: str, rank: Rank, limit: timedelta = _JOIN_LIMIT) -> None:
    keys = [f"{what}/{number}" for number in range(rank.num_processes)]
    store.set(keys[rank.number], "")
    try:
        store.wait(keys, limit)
    except RuntimeError:
        missing = [number for number, key in enumerate(keys) if not store.check([key])]
        raise ConfigError(
            f"{len(missing)} of {rank.num_processes} processes have not come in {_JOIN_SECONDS} s, "
            f"process {missing[0]} among them: start all of them, with the same number"
        ) from None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the system end this process on a signal: Python's handlers wait while it waits."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
