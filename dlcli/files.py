"""Atomic, durable writing of files: whole or not at all, even if the power fails."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dlcli.errors import StorageError

_SUFFIX = ".dlcli-partial"
_partials: set[Path] = set()  # files that this process is writing
_creating = threading.RLock()  # held while one of them is created


@contextmanager
def atomic_file(
    path: Path, *, keep: Path | None = None, is_durable: bool = True
) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an error.

    The previous file is kept as `keep`, if given: at every moment one of the two is whole. Without
    `is_durable`, the file is not synced and may be lost if the power fails. Raises StorageError if
    writing fails. If the block raises, the temporary file is removed; a process that is killed
    leaves a hidden file, which `remove_leftovers` removes.
    """
    try:
        with _partial(path) as temporary:
            with _creating:
                file = temporary.open("xb")  # exclusive: an existing link is not followed
            with file:
                yield file
                file.flush()
                if is_durable:
                    os.fsync(file.fileno())
            if keep is not None and path.exists():
                _keep(path, keep)
            temporary.replace(path)
            if is_durable:
                _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        if not path.parent.exists():
            reason = f"there is no folder {path.parent}"
        raise StorageError(f"{path}: cannot write it: {reason}") from None


def remove_partials() -> None:
    """Remove the files that this process is writing, and block new ones: it must end now."""
    _creating.acquire()  # never released
    for path in list(_partials):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes; only for a folder that is locked."""
    for path in folder.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _keep(path: Path, keep: Path) -> None:
    """Make `keep` a second name of the file at `path`."""
    with _partial(keep) as temporary:
        try:
            with _creating:
                os.link(path, temporary)
        except OSError:  # no hard links on this file system: for a moment there is only `keep`
            path.replace(keep)
        else:
            temporary.replace(keep)


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Give a hidden name beside a file; a file of that name is removed when the block ends."""
    partial = path.with_name(f".{path.name}.{os.urandom(16).hex()}{_SUFFIX}")
    _partials.add(partial)
    try:
        yield partial
    finally:
        with suppress(OSError):  # the error that ended the block matters more
            partial.unlink(missing_ok=True)
        _partials.discard(partial)


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it are on disk."""
    if os.name != "posix":  # Windows has no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
