"""Runs of dlcli, each a process of its own, forked from one that has everything imported.

The forking process must neither train nor read data itself: threads don't survive a fork.
"""

# ruff: noqa: F401 - imported so that the forks needn't
import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars
import rich.live
import torch

import dlcli.cli.screens.progress
import dlcli.runs.training.agreement
import dlcli.runs.training.train
import dlcli.training.processes.joining
from dlcli.__main__ import listen, main

_HEARD = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Forked:
    """A run under way."""

    pid: int
    screen: Path  # what it prints

    def wait(self) -> int:
        """Return its exit code; below 0: the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self, number: int, after: float) -> int:
        """Send a signal after some seconds, if it still runs then; return its exit code."""
        deadline = time.monotonic() + after
        while (left := deadline - time.monotonic()) > 0:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(min(left, 0.002))
        os.kill(self.pid, number)
        return self.wait()


def start(
    arguments: list[str],
    screen: Path,
    environment: Mapping[str, str] | None = None,
    namespace: Path | None = None,
) -> Forked:
    """Start `dlcli ARGUMENTS`, standard output and error going to a file.

    A signal that comes before the program listens waits until it does. `namespace` is the file of
    the network namespace that it runs in, as on a machine of that name.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Forked(pid, screen)
    try:
        listen()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        descriptor = os.open(screen, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ.update(environment or {})
        if namespace is not None:
            _enter(namespace)
        torch.set_num_threads(1)  # several forks run side by side
        sys.argv = ["dlcli", *arguments]
        main()
    except Exception:
        traceback.print_exc()
        os._exit(1)
    finally:
        os._exit(99)  # main doesn't return


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open() as opened:
        if libc.setns(opened.fileno(), _CLONE_NEWNET) or libc.unshare(_CLONE_NEWUTS):
            raise OSError(ctypes.get_errno(), "setns, unshare")
    socket.sethostname(namespace.name)
