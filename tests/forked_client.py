"""The program `dlcli` for tests, without its start: a fork of `tests.forks` does the work.

    python -IS tests/forked_client.py SOCKET PROGRAM ARGUMENTS

The fork has this process's folder, environment, limits and standard streams. Signals are passed on
to it, it is killed where this process ends, and this process ends as it does. PROGRAM is what the
fork takes for Python: a script that does the same, so that `--processes` starts forks too.
"""

import json
import os
import resource
import signal
import socket
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)


def main() -> None:
    """Ask for a fork, wait for it, and end as it has ended."""
    address, program, *arguments = sys.argv[1:]
    request = {
        "arguments": arguments[2:] if arguments[:2] == ["-m", "dlcli"] else arguments,
        "program": program,
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes longer than all of this
        "environment": dict(os.environ),
        "limits": {limit: resource.getrlimit(limit) for limit in LIMITS},
        "ignored": [each for each in SIGNALS if signal.getsignal(each) == signal.SIG_IGN],
    }
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until there is somebody to tell
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(address)
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    pid = int(server.recv(100))
    for number in SIGNALS:
        if number not in request["ignored"]:
            signal.signal(number, lambda number, _: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for stream in (0, 1, 2):
        os.close(stream)  # so that those who read the fork's see their end
    code = int(server.recv(100))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
