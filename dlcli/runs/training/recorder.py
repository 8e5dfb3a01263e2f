"""Recording for the report during training: activation statistics, and snapshots of the weights.

Recording doesn't affect training. Statistics are appended to their file at each recorded epoch.
Snapshots are kept in memory, and written with each checkpoint on the saver's thread: a run that
resumes from it has all that there were. The files are not synced: if the power fails they may be
lost, and the report says so.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import safetensors
import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from dlcli.explaining.training_statistics import (
    EpochStatistics,
    as_weights,
    collect_statistics,
    is_recorded,
    num_probe_rows,
)
from dlcli.files import atomic_file
from dlcli.runs.folder.lines_file import LinesFile
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.training.loop import EpochResult, Progress, Trainer
from dlcli.training.rows.batches import BatchSource
from dlcli.training.saving.tensors import file_buffers, file_header

_MAX_BYTES = 32 * 2**20  # of all snapshots; none are kept if one is larger than an eighth

Snapshot = tuple[int, Mapping[str, Tensor]]  # epochs done, and parameters by name


class Recorder:
    """Records one run; `statistics` and `snapshots` are what it has recorded."""

    def __init__(self, folder: RunFolder, trainer: Trainer, rows: BatchSource) -> None:
        """Continue the recording of the finished epochs in the folder; StorageError."""
        self._trainer = trainer
        self._probe = rows.head(num_probe_rows(trainer.plan))
        done = trainer.epoch.number - 1
        before = [found for found in _read_lines(folder) if found[0].epoch <= done]
        self.statistics = [statistics for statistics, _ in before]
        self._lines = LinesFile(folder.inside, sum(num_bytes for _, num_bytes in before))
        found = read_snapshots(folder)
        self.snapshots = [item for item in found if item[0] <= done]
        self._is_saved = len(self.snapshots) == len(found)  # whether take_unsaved gave all away
        size = trainer.optimizer.parameters.values.nbytes
        self._max_snapshots = _MAX_BYTES // size if size <= _MAX_BYTES // 8 else 0
        self._before: Tensor | None = None
        if not done and not trainer.epoch.num_steps:
            self._keep_snapshot(0)
        self._remember()

    def observe(self, event: Progress | EpochResult) -> None:
        """Record an event if it is due; StorageError if it can't be written."""
        if isinstance(event, EpochResult) and is_recorded(event.epoch):
            statistics = collect_statistics(self._trainer, self._probe, event.epoch, self._before)
            self.statistics.append(statistics)
            self._lines.append_json(statistics.model_dump_json())
            self._keep_snapshot(event.epoch)
        self._remember()

    def take_unsaved(self) -> Sequence[Snapshot]:
        """Return all snapshots, to be written; none if there are no new ones since the last call.

        Training goes on while they are written: no later snapshot changes them.
        """
        if self._is_saved:
            return ()
        self._is_saved = True
        return tuple(self.snapshots)

    def _remember(self) -> None:
        """Keep the weights before the last step of an epoch that is recorded."""
        epoch = self._trainer.epoch
        if epoch.num_steps == self._trainer.schedule.steps_per_epoch - 1:
            is_due = is_recorded(epoch.number)
            values = self._trainer.optimizer.parameters.values
            self._before = values.clone() if is_due else None

    def _keep_snapshot(self, epoch: int) -> None:
        if not self._max_snapshots:
            return
        if len(self.snapshots) == self._max_snapshots:
            del self.snapshots[1::2]  # the first weights stay
        self.snapshots.append((epoch, as_weights(self._trainer)))
        self._is_saved = False


def write_snapshots(folder: RunFolder, snapshots: Sequence[Snapshot]) -> None:
    """Write the snapshots of a run in place of those that are there; StorageError."""
    tensors = {
        f"{number}/{name}": tensor
        for number, weights in snapshots
        for name, tensor in weights.items()
    }
    with atomic_file(folder.snapshots, is_durable=False) as file:
        file.writelines([file_header(tensors, None), *file_buffers(tensors)])


def read_statistics(folder: RunFolder) -> list[EpochStatistics]:
    """Return the statistics that can be read, in the order of epochs."""
    return [statistics for statistics, _ in _read_lines(folder)]


def _read_lines(folder: RunFolder) -> list[tuple[EpochStatistics, int]]:
    """Return the statistics of each whole line up to the first bad one, and its length in bytes."""
    found: list[tuple[EpochStatistics, int]] = []
    with suppress(OSError, ValidationError), folder.inside.open("rb") as file:
        whole = (line for line in file if line.endswith(b"\n"))
        found.extend((EpochStatistics.model_validate_json(line), len(line)) for line in whole)
    return found


def read_snapshots(folder: RunFolder) -> list[Snapshot]:
    """Return the snapshots in the order of epochs; none if they can't be read."""
    found: dict[int, dict[str, Tensor]] = {}
    with suppress(OSError, safetensors.SafetensorError, ValueError):
        for key, tensor in safetensors.torch.load(folder.snapshots.read_bytes()).items():
            number, name = key.split("/", 1)
            found.setdefault(int(number), {})[name] = tensor
    return sorted(found.items())
