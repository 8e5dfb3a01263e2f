"""Joining the other processes, and leaving them."""

import fcntl
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from dlcli.errors import ConfigError, StorageError
from dlcli.training.device import memory_explained
from dlcli.training.processes.heartbeat import BEAT_SECONDS, Heartbeat
from dlcli.training.processes.rank import Rank
from dlcli.training.processes.several import TIMEOUT, ExchangeBrokenError, Several

_JOIN_SECONDS = 300  # for all processes to come
_JOIN_LIMIT = timedelta(seconds=_JOIN_SECONDS)
_LEAVE_LIMIT = timedelta(seconds=10)
_FEWER = "try fewer processes on this machine, or a smaller training.batch_size"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux


@contextmanager
def joined(rank: Rank) -> Iterator[tuple[Several, Heartbeat]]:
    """Within the block, be one of several processes; ConfigError where they don't come together."""
    heartbeat = None
    try:
        with _ended_by_signals():
            store = _open_store(rank)
            heartbeat = Heartbeat(rank)
            heartbeat.start()
            _wait_for_all(store, "here", rank)
            _connect(store, rank)
        with memory_explained(torch.device("cpu"), "one more process", _FEWER):
            yield Several(rank.number, rank.num_processes, rank.local_number), heartbeat
        # Nobody takes its connections down while another one still reads from them.
        _wait_for_all(store, "done", rank, TIMEOUT)
        dist.destroy_process_group()
        _leave(store, rank)
    except ExchangeBrokenError as error:
        assert heartbeat is not None, "the store was reached"
        raise SystemExit(heartbeat.find_failure(str(error)).exit_code) from None
    except Exception as error:
        if heartbeat is not None:
            failed = StorageError if isinstance(error, OSError) else error
            with suppress(MemoryError):
                heartbeat.report(getattr(failed, "exit_code", 1), str(error))
        if rank.number == 0 and not rank.has_agent:
            time.sleep(2 * BEAT_SECONDS)  # the others read it in the store, which goes with this
        raise
    finally:
        if heartbeat is not None:
            heartbeat.stop()


def _connect(store: Store, rank: Rank) -> None:
    """Connect the processes with each other."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    name = interface_towards(rank.address, rank.port)
    if name is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    try:
        dist.init_process_group(
            backend,
            store=store,
            rank=rank.number,
            world_size=rank.num_processes,
            timeout=TIMEOUT,
        )
    except RuntimeError as error:
        raise ExchangeBrokenError(
            f"the processes can't reach each other: {_first_line(error)}; is GLOO_SOCKET_IFNAME "
            f"({os.environ.get('GLOO_SOCKET_IFNAME', 'not set')}) the right network interface?"
        ) from None


def interface_towards(address: str, port: int) -> str | None:
    """Return the network interface that leads to a machine; None where the system doesn't say.

    Left to itself, gloo takes the one whose address the machine's own name stands for, which is
    often that of the machine alone.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))  # sends nothing
        address_here = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            if _address_of(probe, name) == address_here:
                return name
    return None


def _address_of(probe: socket.socket, interface: str) -> str | None:
    request = struct.pack("256s", interface.encode()[:15])
    try:
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _GET_ADDRESS, request)[20:24])
    except OSError:  # it has none
        return None


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
    """Say that this process has come so far, and wait until every one has."""
    keys = _keys(what, rank)
    try:
        store.set(keys[rank.number], "")
        store.wait(keys, limit)
    except RuntimeError:
        missing = _missing(store, keys)
        raise ConfigError(
            f"{len(missing)} of {rank.num_processes} processes have not come in {_JOIN_SECONDS} s, "
            f"process {missing[0]} among them: start all of them, with the same number"
        ) from None


def _missing(store: Store, keys: list[str]) -> list[int]:
    try:
        return [number for number, key in enumerate(keys) if not store.check([key])]
    except RuntimeError:
        raise ExchangeBrokenError("the connection to where the processes meet broke off") from None


def _leave(store: Store, rank: Rank) -> None:
    """Wait until all are done with the store, which the first process may hold and take along."""
    keys = _keys("left", rank)
    with suppress(RuntimeError):
        store.set(keys[rank.number], "")
        store.wait(keys, _LEAVE_LIMIT)


def _keys(what: str, rank: Rank) -> list[str]:
    return [f"{what}/{number}" for number in range(rank.num_processes)]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the system end this process on a signal: Python's handlers wait while it waits."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
