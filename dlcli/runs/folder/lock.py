"""The lock of a run folder: one process at a time."""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dlcli.errors import CheckpointError, ConfigError, StorageError
from dlcli.files import remove_leftovers
from dlcli.runs.folder.run_folder import RunFolder, make_run_folder


@contextmanager
def hold_run_folder(run_dir: Path | None, name: str, *, resume: bool) -> Iterator[RunFolder]:
    """Create or open (`resume`) a run folder and lock it; it is removed if nothing is saved.

    Raises ConfigError and CheckpointError if the folder can't be used, StorageError.
    """
    was_there = run_dir is not None and run_dir.is_dir()
    folder = make_run_folder(run_dir, name)
    try:
        with held(folder):
            remove_leftovers(folder.path)
            was_empty = folder.is_empty
            if not was_empty and not resume:
                hint = "resume its run: --resume" if folder.config.exists() else "empty it"
                raise ConfigError(
                    f"--run-dir {run_dir}: this folder is not empty; name another, or {hint}"
                )
            if not was_empty and not folder.config.exists():
                raise CheckpointError(
                    f"--run-dir {run_dir}: no run to resume: there is no config.yaml"
                )
            try:
                yield folder
            finally:
                if was_empty and not folder.holds_work:
                    _empty(folder.path)
    finally:
        if not was_there:
            with suppress(OSError):  # the folder is not empty
                folder.path.rmdir()


@contextmanager
def there_meanwhile(folder: Path) -> Iterator[None]:
    """Have a folder within the block, and leave none that was not there; StorageError."""
    was_there = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot create this folder: {error.strerror}") from None
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # another process needs it
                folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Lock a folder; the system releases it however the process ends.

    Raises CheckpointError, naming the other process, if it is locked.
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
        with suppress(OSError):  # the lock itself belongs to the system, not to the file
            folder.lock.unlink(missing_ok=True)
        lock.release()
