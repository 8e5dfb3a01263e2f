"""Settings made before torch is imported, and importing it in the background."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

_LARGE_BYTES = 5_000_000  # a data file of this size takes long enough to read


def shorten_spinning() -> None:
    """Shorten how long waiting threads spin before they sleep, unless the user has set it.

    GNU OpenMP reads the setting when torch is loaded. By default threads spin for about a
    millisecond, which makes a step on two threads a hundred times slower beside another busy
    program. OpenBLAS reads its own when numpy is loaded: 2 to that power of clock ticks, which by
    default is the whole time that a short command takes.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")


@contextmanager
def torch_imported_meanwhile(num_bytes: int) -> Iterator[None]:
    """Import torch on another thread while data files of so many bytes are read, if many.

    A small file is read faster than torch is imported, so that errors in it come at once.
    """
    if num_bytes <= _LARGE_BYTES:
        yield
        return
    thread = Thread(target=importlib.import_module, args=("torch",))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # the reader takes the GIL back from polars often
    thread.start()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        thread.join()
