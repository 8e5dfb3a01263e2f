"""One process at a time in a run folder."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from dlcli.errors import CheckpointError, StorageError
from dlcli.runs.run_folder import RunFolder


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Hold a folder: the system lets go of it however the process ends.

    Raises CheckpointError, with the holder, where another process has it.
    """
    lock = FileLock(folder.lock)
    try:
        lock.acquire(blocking=False)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        folder.lock.write_text(f"process {os.getpid()} on {platform.node()} since {since}")
    except Timeout:
        raise CheckpointError(
            f"{folder.path}: in use by {folder.lock.read_text() or 'another process'}; wait for "
            "its end or name another --run-dir"
        ) from None
    except OSError as error:
        lock.release()
        raise StorageError(f"{folder.path}: cannot write in it: {error.strerror}") from None
    try:
        yield
    finally:
        folder.lock.unlink(missing_ok=True)
        lock.release()
