"""Files without a name: the system removes them, however the program ends."""

import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

from dlcli.errors import StorageError


class UnnamedFile:
    """A file that is there until this object is closed or forgotten."""

    def __init__(self, write: Callable[[Path], None]) -> None:
        """Let the file be written; StorageError where there is no room."""
        try:
            made, name = tempfile.mkstemp(prefix="dlcli-")
            os.close(made)
            try:
                write(Path(name))
                number = os.open(name, os.O_RDONLY)
            finally:
                Path(name).unlink()
        except OSError as error:
            raise StorageError(
                f"{tempfile.gettempdir()}: cannot write a temporary file: {error.strerror or error}"
            ) from None
        self.path = Path(f"/dev/fd/{number}")  # within this process
        self.close = weakref.finalize(self, os.close, number)
