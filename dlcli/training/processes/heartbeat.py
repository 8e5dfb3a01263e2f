"""Whether the other processes are still there, told by a thread of each while its own work goes on.

Each process counts up a number in the store that all of them reach, and looks whether the next one
counts too. A step or a look at the validation rows may take as long as it likes. Whoever fails says
so there; whoever finds another one gone says it for that one. Then all end.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from dlcli.files import remove_partials
from dlcli.training.processes.rank import Rank

BEAT_SECONDS = 0.5
SILENT_SECONDS = 6.0  # without a beat, or without an answer of the store: gone
_GRACE_SECONDS = 4.0  # for a process to end by itself, once one of them has failed
_LOST_EXIT_CODE = 7  # no longer reachable: reading failed
KILLED_EXIT_CODE = 128 + signal.SIGKILL
_BROKEN = "the connection to another process broke off"


@dataclass(frozen=True)
class Failure:
    """Why the processes end."""

    rank: int  # of the one that failed
    exit_code: int
    message: str


@dataclass(frozen=True)
class _Place:
    """Where a process is."""

    machine: str
    pid: int
    identity: str  # of the process: a number may come again, and a name on another machine

    @classmethod
    def of(cls, pid: int) -> "_Place":
        identity = ""
        with suppress(OSError):  # not Linux, or gone
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
            started = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
            identity = f"{boot.strip()} {started}"
        return cls(socket.gethostname(), pid, identity)

    @classmethod
    def read(cls, text: bytes) -> "_Place":
        return cls(**json.loads(text))

    def written(self) -> str:
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"{self.pid} on {self.machine}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, on this machine."""
        here = _Place.of(os.getpid())
        return (self.machine, self.identity[:36]) == (here.machine, here.identity[:36])

    def kill(self) -> None:
        """End the process where it is on this machine, and only stands still."""
        if self.is_here and _Place.of(self.pid) == self:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)


class Heartbeat:
    """The count of this process, and what is known of the others."""

    def __init__(self, rank: Rank) -> None:
        """Connect to the store, a second time: the first connection is for what they exchange."""
        self._rank = rank
        store = TCPStore(
            rank.address,
            rank.port,
            is_master=False,
            timeout=timedelta(seconds=SILENT_SECONDS),
            wait_for_workers=False,
        )
        self._store = PrefixStore(f"dlcli-heartbeat-{rank.attempt}", store)
        self._next = (rank.number + 1) % rank.num_processes
        self._over = threading.Event()
        self._heard = time.monotonic()  # from the store
        self.failure: Failure | None = None
        self._holder: bytes | None = None  # where the process is that holds the store
        self._store.set(f"where/{rank.number}", _Place.of(os.getpid()).written())
        self._store.set(f"beat/{rank.number}", "0")

    def start(self) -> None:
        """Begin; others that have not come yet are not missed."""
        for function in (self._beat, self._watch_store):
            threading.Thread(target=function, name="dlcli-heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Count and watch no more: all of them are done."""
        self._over.set()

    def report(self, exit_code: int, message: str, *, rank: int | None = None) -> bool:
        """Say why this process, or another one, has failed; whether nobody was first."""
        number = self._rank.number if rank is None else rank
        failure = Failure(number, exit_code, message)
        text = json.dumps(asdict(failure))
        try:
            kept = self._store.compare_set("failed", "", text).decode()
        except RuntimeError:  # the store is gone too
            kept = text
        self.failure = Failure(**json.loads(kept))
        return kept == text

    def find_failure(self, otherwise: str = _BROKEN) -> Failure:
        """Return why an exchange broke off: what somebody says of it, or who is silent.

        `otherwise` is said where nobody is.
        """
        until = time.monotonic() + 3 * BEAT_SECONDS
        while self.failure is None and time.monotonic() < until:
            time.sleep(BEAT_SECONDS / 5)
        try:
            is_known = self.failure is not None or self._found_silent()
            if not is_known and self.report(_LOST_EXIT_CODE, otherwise):
                _say(f"{otherwise}: is the network sound?")
        except RuntimeError:
            self._lose_store()
        assert self.failure is not None, "it was reported"
        return self.failure

    def _beat(self) -> None:
        """Count, and look at the next process."""
        count, last, heard = 0, None, time.monotonic()
        while not self._over.is_set():
            count += 1
            with suppress(RuntimeError, MemoryError):  # the other thread watches the store
                self._store.set(f"beat/{self._rank.number}", str(count))
                beat = self._read(f"beat/{self._next}")
                if self._holder is None and self._rank.number and not self._rank.has_agent:
                    self._holder = self._read("where/0")
                failed = self._read("failed")
                self._heard = time.monotonic()
                if beat != last or beat is None:
                    last, heard = beat, time.monotonic()
                elif time.monotonic() - heard > SILENT_SECONDS and not self._over.is_set():
                    self._give_up(self._next)
                if failed is not None and self.failure is None:
                    self.failure = Failure(**json.loads(failed))
            if self.failure is not None:
                self._end_soon(self.failure)
            self._over.wait(BEAT_SECONDS)

    def _read(self, key: str) -> bytes | None:
        """Return a value of the store, None where nobody has set it yet."""
        return self._store.get(key) if self._store.check([key]) else None

    def _watch_store(self) -> None:
        """End where the store, and so whoever holds it, answers no more."""
        while not self._over.wait(BEAT_SECONDS):
            if time.monotonic() - self._heard > SILENT_SECONDS:
                self._lose_store()
                assert self.failure is not None, "the store is lost"
                _end(self.failure.exit_code)

    def _lose_store(self) -> None:
        """Say that the store is gone, and end the process that holds it where it stands still."""
        where = f"{self._rank.address}:{self._rank.port}, where the processes meet,"
        message = f"{where} does not answer"
        holder = None if self._holder is None else _Place.read(self._holder)
        if holder is not None and holder.is_here:
            self.failure = Failure(0, KILLED_EXIT_CODE, message)
            _say(f"{message}: process 0 ({holder}) is gone: was it killed, or is memory full?")
            holder.kill()
        else:
            self.failure = Failure(0, _LOST_EXIT_CODE, message)
            _say(f"{message}: is the network cut, or the process that started this one gone?")

    def _found_silent(self) -> bool:
        """Report the first process that does not count; whether there is one."""
        others = [rank for rank in range(self._rank.num_processes) if rank != self._rank.number]

        def beats() -> dict[int, bytes | None]:
            return {rank: self._read(f"beat/{rank}") for rank in others}

        before = beats()
        time.sleep(3 * BEAT_SECONDS)
        now = beats()
        silent = [rank for rank in others if before[rank] == now[rank] is not None]
        for rank in silent[:1]:
            self._give_up(rank)
        return bool(silent)

    def _give_up(self, rank: int) -> None:
        """Report a process that is gone, and end it where it only stands still."""
        place = _Place.read(self._store.get(f"where/{rank}"))
        message = f"process {rank} ({place}) is gone, or has not answered"
        if self.report(KILLED_EXIT_CODE if place.is_here else _LOST_EXIT_CODE, message, rank=rank):
            _say(f"{message}: was it killed, is memory full, or the network cut?")
        place.kill()

    def _end_soon(self, failure: Failure) -> None:
        """Wait for this process to end by itself, which a broken exchange makes it do."""
        self._over.wait(_GRACE_SECONDS)
        if not self._over.is_set():
            _end(failure.exit_code)


def _say(text: str) -> None:
    with suppress(OSError):
        print(f"dlcli: {text}", file=sys.stderr, flush=True)  # noqa: T201 - nobody else is left


def _end(exit_code: int) -> None:
    """End at once: an exchange that can't come would be waited for."""
    remove_partials()
    os._exit(exit_code)
