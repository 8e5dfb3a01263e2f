"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from dlcli.errors import StorageError


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its place only when the block ends without an error.

    Raises StorageError where writing fails. Whatever ends the block early, nothing stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot write it: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
