"""A file of JSON objects, one per line, that lines are appended to."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlcli.errors import StorageError


class LinesFile:
    """Appends whole lines; an incomplete line of a killed process is cut off.

    Each method raises StorageError if reading or writing fails.
    """

    def __init__(self, path: Path, num_bytes: int | None = None) -> None:
        """Keep the whole lines of the file, or of its first `num_bytes`."""
        self.path = path
        self.num_bytes = 0
        with self._explained():
            self.path.touch()
            kept = self.path.read_bytes()[:num_bytes]
            self.num_bytes = kept.rfind(b"\n") + 1
            os.truncate(self.path, self.num_bytes)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        self.append_json(json.dumps(line, allow_nan=False))

    def append_json(self, line: str) -> None:
        """Add a line that is JSON already."""
        text = line.encode() + b"\n"
        with self._explained():
            try:
                with self.path.open("ab") as file:
                    file.write(text)
            except OSError:
                os.truncate(self.path, self.num_bytes)
                raise
        self.num_bytes += len(text)

    def sync(self) -> None:
        """Wait until all lines are on disk."""
        with self._explained(), self.path.open("rb") as file:
            os.fsync(file.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path}: cannot write it: {error.strerror}") from None
