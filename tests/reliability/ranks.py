"""Several processes that train one network, forked, so that they start within a tenth of a second.

There is no elastic agent: the first process holds the store, as under srun.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import forked
from tests.training.test_shards import free_port


@dataclass(frozen=True)
class Ranks:
    """Processes of one training run, by rank."""

    runs: list[forked.Forked]

    def wait_until_joined(self, seconds: float = 20) -> bool:
        """Wait until each has both of its connections to the store; whether they came to that."""
        deadline = time.monotonic() + seconds
        while not all(_num_sockets(run.pid) >= 2 for run in self.runs):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def end(self, seconds: float) -> list[int | None]:
        """Return the exit codes, None for each that had to be killed after so many seconds."""
        deadline = time.monotonic() + seconds
        codes: dict[int, int | None] = {}
        while len(codes) < len(self.runs) and time.monotonic() < deadline:
            for run in self.runs:
                if run.pid not in codes:
                    pid, status = os.waitpid(run.pid, os.WNOHANG)
                    if pid:
                        codes[pid] = os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        for run in self.runs:
            if run.pid not in codes:
                os.kill(run.pid, signal.SIGKILL)
                run.wait()
                codes[run.pid] = None
        return [codes[run.pid] for run in self.runs]

    def kill(self, after: float) -> list[int | None]:
        """Kill all that still run after some seconds; return the exit codes."""
        time.sleep(after)  # who has ended by then is still a zombie
        for run in self.runs:
            os.kill(run.pid, signal.SIGKILL)
        return self.end(10)

    def texts(self) -> list[str]:
        """Return what each has printed."""
        return [run.screen.read_text("utf-8", "replace") for run in self.runs]


def start(
    commands: Sequence[list[str]],
    screens: Path,
    *,
    address: str = "127.0.0.1",
    namespaces: Sequence[Path] | None = None,
) -> Ranks:
    """Start `dlcli` once for each list of arguments, each in a network namespace if they are given.

    What they print goes to a file of each in the folder `screens`.
    """
    port = str(free_port())
    common = {"WORLD_SIZE": str(len(commands)), "MASTER_ADDR": address, "MASTER_PORT": port}
    runs = [
        forked.start(
            command,
            screens / f"{rank}.txt",
            {"RANK": str(rank), "LOCAL_RANK": str(rank), **common},
            None if namespaces is None else namespaces[rank],
        )
        for rank, command in enumerate(commands)
    ]
    return Ranks(runs)


def _num_sockets(pid: int) -> int:
    folder = Path(f"/proc/{pid}/fd")
    try:
        return sum(str(path.readlink()).startswith("socket:") for path in folder.iterdir())
    except OSError:  # it is ending
        return 0
