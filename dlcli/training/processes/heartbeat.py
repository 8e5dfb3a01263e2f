"""Whether the other processes are still there, told by a thread of each while its own work goes on.

Each process counts up a number in the store that all of them reach, and looks whether the next one
counts too. A step or a look at the validation rows may take as long as it likes. Whoever fails says
so there; whoever finds another one gone says it for that one. Then all end.
"""

import json
import os
import platform
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from dlcli.files import remove_partials
from dlcli.training.processes.rank import Rank

BEAT_SECONDS = 0.5
SILENT_SECONDS = 6.0  # without a beat, or without an answer of the store: gone
_GRACE_SECONDS = 4.0  # for a process to end by itself, once one of them has failed
_LOST_EXIT_CODE = 7  # no longer reachable: reading failed
_KILLED_EXIT_CODE = 128 + signal.SIGKILL
LOST_EXIT_CODES = (_LOST_EXIT_CODE, _KILLED_EXIT_CODE)


@dataclass(frozen=True)
class Failure:
    """Why the processes end."""

    rank: int  # of the one that failed
    exit_code: int
    message: str


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
        here = {"machine": platform.node(), "pid": os.getpid()}
        self._store.set(f"where/{rank.number}", json.dumps(here))
        self._store.set(f"beat/{rank.number}", "0")

    def start(self) -> None:
        """Begin, once every process has been here."""
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

    def find_failure(self) -> Failure:
        """Return why an exchange broke off: what somebody says of it, or who is silent."""
        until = time.monotonic() + 3 * BEAT_SECONDS
        while self.failure is None and time.monotonic() < until:
            time.sleep(BEAT_SECONDS / 5)
        if self.failure is None:
            self._name_the_silent()
        assert self.failure is not None, "it was reported"
        return self.failure

    def _beat(self) -> None:
        """Count, and look at the next process."""
        count, last, heard = 0, b"", time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            try:
                count += 1
                self._store.set(f"beat/{self._rank.number}", str(count))
                beat = self._store.get(f"beat/{self._next}")
                has_failed = self._store.check(["failed"])
                self._heard = time.monotonic()
            except RuntimeError:
                continue  # the other thread watches that
            if has_failed and self.failure is None:
                self.failure = Failure(**json.loads(self._store.get("failed")))
            if self.failure is not None:
                self._end_soon(self.failure)
            if beat != last:
                last, heard = beat, time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS and not self._over.is_set():
                self._give_up(self._next)

    def _watch_store(self) -> None:
        """End where the store, and so whoever holds it, answers no more."""
        while not self._over.wait(BEAT_SECONDS):
            if time.monotonic() - self._heard > SILENT_SECONDS:
                where = f"{self._rank.address}, where the processes meet,"
                message = f"{where} has not answered for {SILENT_SECONDS:.0f} s"
                _say(f"process {self._rank.number}: {message}: is the network cut?")
                _end(_LOST_EXIT_CODE)

    def _name_the_silent(self) -> None:
        """Report the first process that does not count."""
        others = [rank for rank in range(self._rank.num_processes) if rank != self._rank.number]

        def beats() -> dict[int, bytes]:
            return {rank: self._store.get(f"beat/{rank}") for rank in others}

        with suppress(RuntimeError):
            before = beats()
            time.sleep(3 * BEAT_SECONDS)
            now = beats()
            for rank in others:
                if before[rank] == now[rank]:
                    self._give_up(rank)
                    return
        if self.report(_LOST_EXIT_CODE, "the connection to another process broke off"):
            _say("the connection to another process broke off: is the network sound?")

    def _give_up(self, rank: int) -> None:
        """Report a process that is gone, and end it where it only stands still."""
        where = json.loads(self._store.get(f"where/{rank}"))
        is_here = where["machine"] == platform.node()
        name = f"process {rank} ({where['pid']} on {where['machine']})"
        message = f"{name} is gone, or has not answered for {SILENT_SECONDS:.0f} s"
        if self.report(_KILLED_EXIT_CODE if is_here else _LOST_EXIT_CODE, message, rank=rank):
            _say(f"{message}: was it killed, is memory full, or the network cut?")
        if is_here:
            with suppress(OSError):
                os.kill(where["pid"], signal.SIGKILL)

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
