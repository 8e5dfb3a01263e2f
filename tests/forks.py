"""A process that has everything imported and forks runs of dlcli: 0.1 s each, instead of 1.7.

    python -m tests.forks SOCKET PID

It ends with the process PID. `tests.forked_client` is what a test starts in the place of the
program. What a start itself is about (imports, what libraries read from the environment, a
terminal of its own, closed streams) needs the real one.
"""

# ruff: noqa: F401 - imported so that the forks needn't
import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import shlex
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "tests" / "forked_client.py"
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def start_server(folder: Path, until: int) -> Path:
    """Return a program that is `dlcli` by a fork; start what forks, unless that was done."""
    program, address = folder / "dlcli", folder / "forks"
    if not program.exists():
        words = [sys.executable, "-IS", str(CLIENT), str(address)]
        script = Path(f"{program}-{os.getpid()}")
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$0" "$@"\n')
        script.chmod(0o755)
        command = [sys.executable, "-m", "tests.forks", str(address), str(until)]
        more = {"PYTHONPATH": str(ROOT), "GOMP_SPINCOUNT": "2000"}
        os.posix_spawn(sys.executable, command, os.environ | more)
        while not address.exists():
            time.sleep(0.01)
        script.rename(program)
    return program


def serve(address: str, until: int) -> None:
    """Fork for each client a process that does what it asks for."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listening.bind(address)
    except OSError:
        return  # another has been faster
    listening.listen(100)
    import_everything()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets children that have ended
    owner = os.pidfd_open(until)
    while owner not in readable(listening, owner):
        client = listening.accept()[0]
        if not os.fork():
            die_with_parent()
            listening.close()
            serve_client(client)
        client.close()


def import_everything() -> None:
    """Import what runs import; what starts threads must not be used here."""
    import polars
    import rich.live
    import torch

    import dlcli.cli.screens.progress
    import dlcli.runs.training.train
    import dlcli.training.processes.joining
    from dlcli.cli.app import run


def serve_client(client: socket.socket) -> None:
    """Fork a run, tell its process and how that has ended; kill it if the client is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
    pid = os.fork()
    if not pid:
        die_with_parent()
        client.close()
        run_program(json.loads(message), streams)
    for descriptor in streams:
        os.close(descriptor)
    client.send(str(pid).encode())
    ended = os.pidfd_open(pid)
    if ended not in readable(client, ended):
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):  # the client is gone
        client.send(str(code).encode())
    os._exit(0)


def run_program(request: dict[str, Any], streams: list[int]) -> None:
    """Run dlcli as the client would."""
    from dlcli.__main__ import main

    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.closerange(3, 100)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for limit, bounds in request["limits"].items():
            resource.setrlimit(int(limit), bounds)
        for number in HANDLED:
            ignored = number in request["ignored"]
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
            buffering = 1 if number == 2 or os.isatty(number) else -1
            mode = "w" if number else "r"
            stream = open(number, mode, buffering, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        sys.dont_write_bytecode = True  # where files may be short, so would the bytecode be
        sys.argv = ["dlcli", *request["arguments"]]
        sys.executable = request["program"]
        main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def readable(*sources: Any) -> list[Any]:
    """Wait; return what can be read, or has ended."""
    return select.select(sources, [], [])[0]


def die_with_parent() -> None:
    """Have this process killed when its parent ends."""
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
