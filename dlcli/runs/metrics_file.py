"""metrics.jsonl: a line an epoch."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcli.errors import StorageError
from dlcli.training.loop import EpochResult


class MetricsFile:
    """The lines of a run; whatever a process that was killed added after its last save is cut."""

    def __init__(self, path: Path, num_bytes: int = 0) -> None:
        """Open the first `num_bytes` of what is there, whole lines; StorageError."""
        self.path = path
        self.num_bytes = 0
        with self._explained():
            self.path.touch()
            kept = self.path.read_bytes()[:num_bytes]
            self.num_bytes = kept.rfind(b"\n") + 1
            os.truncate(self.path, self.num_bytes)

    def append(self, result: EpochResult) -> None:
        """Add an epoch, whole or not at all; StorageError."""
        norm = result.gradient_norm
        line = {
            "epoch": result.epoch,
            "seconds": result.seconds,
            "lr": result.lr,
            "gradient_norm": norm if math.isfinite(norm) else None,
            "train": {"loss": result.train_loss},
            "validation": result.validation,
        }
        text = json.dumps(line, allow_nan=False).encode() + b"\n"
        with self._explained():
            try:
                with self.path.open("ab") as file:
                    file.write(text)
            except OSError:
                os.truncate(self.path, self.num_bytes)
                raise
        self.num_bytes += len(text)

    def sync(self) -> None:
        """Wait until all lines are on the disk; StorageError."""
        with self._explained(), self.path.open("rb") as file:
            os.fsync(file.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path}: cannot write it: {error.strerror}") from None
