"""Saving checkpoints on a background thread, at intervals that limit the cost."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from dlcli.config.sections.checkpoint import CheckpointConfig
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.training.recorder import Recorder, Snapshot, write_snapshots
from dlcli.training.saving.checkpoint import Checkpoint, save_checkpoint

_FIRST_SECONDS = 1.0  # before the first save, whose cost is unknown
_SHARE = 30  # by default, the pause before a save is this many times the last one's duration


Captured = tuple[Checkpoint, Checkpoint | None]  # the last one, and the best if any


class Saver:
    """Saves the checkpoints of one run, one at a time, and what is recorded beside them."""

    def __init__(
        self,
        folder: RunFolder,
        metrics: LinesFile,
        config: CheckpointConfig,
        recorder: Recorder | None = None,
    ) -> None:
        self._folder = folder
        self._metrics = metrics
        self._config = config
        self._recorder = recorder
        self._thread = ThreadPoolExecutor(1, "dlcli-saver")
        self._pending: Future[float] | None = None
        self._begun = time.perf_counter()  # the last save
        self._pause = _FIRST_SECONDS
        self._best_epoch: int | None = None  # of best.safetensors

    def is_due(self, num_steps: int, *, at_epoch_end: bool) -> bool:
        """Say whether to save now; StorageError if the last save has failed."""
        config, seconds = self._config, time.perf_counter() - self._begun
        if self._pending is not None and self._pending.done():
            self.wait()
        if config.every_steps is None and config.every_seconds is None:
            return self._pending is None and seconds >= self._pause
        if at_epoch_end or (config.every_steps and num_steps % config.every_steps == 0):
            return True
        return config.every_seconds is not None and seconds >= config.every_seconds

    def save(self, capture: Callable[[], Captured]) -> None:
        """Capture the run's state and write it in the background: as last, and as best if given.

        Waits for the previous save. Raises what `capture` raises, and StorageError.
        """
        self.wait()
        self._begun = time.perf_counter()
        last, best = capture()
        snapshots = () if self._recorder is None else self._recorder.take_unsaved()
        self._pending = self._thread.submit(self._write, last, best, snapshots)

    def wait(self) -> None:
        """Wait until the pending save is on disk; StorageError if it failed."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._pause = _SHARE * pending.result()

    def save_best(self, best: Checkpoint) -> None:
        """Write the best checkpoint alone, if the file is of another epoch; StorageError."""
        if self._best_epoch != best.epoch:
            save_checkpoint(self._folder.best, best)
            self._best_epoch = best.epoch

    def save_recorded(self) -> None:
        """Write the snapshots of the weights alone, where no checkpoint follows; StorageError."""
        if self._recorder is not None and (snapshots := self._recorder.take_unsaved()):
            write_snapshots(self._folder, snapshots)

    def close(self) -> None:
        """Start no more saves, and wait for the pending one."""
        self._thread.shutdown()

    def _write(
        self, last: Checkpoint, best: Checkpoint | None, snapshots: Sequence[Snapshot]
    ) -> float:
        """Write last, which contains best, before it; return the seconds since the capture.

        The snapshots up to a checkpoint come first: a run that resumes from it finds them.
        """
        self._metrics.sync()
        if snapshots:
            write_snapshots(self._folder, snapshots)
        save_checkpoint(self._folder.last, last, keep=self._folder.previous)
        if best is not None:
            self.save_best(best)
        return time.perf_counter() - self._begun
