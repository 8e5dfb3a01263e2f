"""Entry point of the program `dlcli`."""

import gc
import os
import signal
import sys
from types import FrameType

from dlcli.files import remove_partials


def main() -> None:
    """Run the command line and exit with its exit code."""
    fill_closed_streams()
    listen()
    gc.set_threshold(200_000, 20, 20)  # imports make many objects, hardly any of them garbage
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for plugins takes time
    from dlcli.cli.app import run

    code = run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # closed: without this, Python would complain as it ends, and exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    remove_partials()  # of a save that a second SIGINT has cut off
    os._exit(code)  # everything is written; a regular shutdown only takes time


def fill_closed_streams() -> None:
    """Open the null device in place of each standard stream that was closed at the start.

    Python has None there, and the next file to be opened would get the stream's number. It is
    opened for reading only: writing fails, as it does where a screen is closed later on.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def listen() -> None:
    """Exit at once on SIGINT, SIGTERM, SIGUSR1, SIGUSR2, and SIGHUP unless `nohup` ignores it."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows has only the first two
            signal.signal(getattr(signal, name), _leave)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Exit at once, leaving nothing half written; training has its own signal handlers.

    Not by an exception, because those raised in a callback of the import system are lost.
    """
    remove_partials()
    os._exit(128 + number)


if __name__ == "__main__":
    main()
