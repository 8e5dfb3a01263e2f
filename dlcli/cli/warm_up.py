"""What is done before torch is imported, and importing it while something else is waited for."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

_LARGE_BYTES = 5_000_000  # of a file that takes long enough to read


def shorten_spinning() -> None:
    """Let threads that wait for each other go to sleep soon, unless the user has said how long.

    GNU's OpenMP reads it when torch is loaded. By itself it has them spin for a millisecond or so:
    beside another busy program that makes a step of two threads last a hundred times as long.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


@contextmanager
def torch_imported_meanwhile(data: Path) -> Iterator[None]:
    """Import torch on another thread, if a file is read meanwhile that is large.

    A small one is read faster, and what is wrong with it is to be told at once.
    """
    if not (data.is_file() and data.stat().st_size > _LARGE_BYTES):
        yield
        return
    thread = Thread(target=importlib.import_module, args=("torch",))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # the reader comes back from polars often, and must not wait long
    thread.start()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        thread.join()
