"""Files that are there whole or not at all, and still there when the power fails."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from dlcli.errors import StorageError

_SUFFIX = ".dlcli-partial"
_partials: set[Path] = set()  # what this process is writing
_beginning = threading.RLock()  # held while one of them comes to be


@contextmanager
def atomic_file(
    path: Path, *, keep: Path | None = None, is_durable: bool = True
) -> Iterator[BinaryIO]:
    """Open a file that takes its place, for good, only when the block ends without an error.

    What stood there goes to `keep`, if that is given: at every moment one of the two is whole.
    With `is_durable` off, the disk is not waited for: after a power cut, nothing is promised.
    Raises StorageError where writing fails. Whatever ends the block early, nothing stays; a
    process that is killed leaves a hidden file, which `remove_leftovers` finds.
    """
    try:
        with _partial(path) as temporary:
            with _beginning:
                file = temporary.open("xb")  # exclusive: a link that stands there is not followed
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
        raise StorageError(f"{path}: cannot write it: {error.strerror or error}") from None


def remove_partials() -> None:
    """Remove what this process has half written, and begin no more: it must end now."""
    _beginning.acquire()  # for good
    for path in list(_partials):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of `atomic_file`s; only for a folder that is held."""
    for path in folder.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _keep(path: Path, keep: Path) -> None:
    """Let `keep` be what `path` is, and `path` stay."""
    with _partial(keep) as temporary:
        try:
            with _beginning:
                os.link(path, temporary)
        except OSError:  # a file system without hard links: for a moment there is only `keep`
            path.replace(keep)
        else:
            temporary.replace(keep)


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Give a hidden name beside a file; what is there at the end of the block goes."""
    partial = path.with_name(f".{path.name}.{uuid4().hex}{_SUFFIX}")
    _partials.add(partial)
    try:
        yield partial
    finally:
        with suppress(OSError):  # it is more important to say what happened before
            partial.unlink(missing_ok=True)
        _partials.discard(partial)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name != "posix":  # Windows has no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
