"""What a report needs of a run while it trains: looks inside of it, and snapshots of its weights.

It changes nothing of the run. Its files are for looking at, so they don't wait for the disk: after
a power cut they may be missing, and the report says so.
"""

from collections.abc import Mapping
from contextlib import suppress

import safetensors
import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from dlcli.explaining.training_statistics import (
    PROBE_ROWS,
    EpochStatistics,
    as_weights,
    collect_statistics,
    is_recorded,
)
from dlcli.files import atomic_file
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.training.loop import EpochResult, Progress, Trainer
from dlcli.training.rows.batches import RowSource

_MAX_BYTES = 32 * 2**20  # of all snapshots; where one is larger than an eighth, none are kept

Snapshot = tuple[int, Mapping[str, Tensor]]  # the epoch that is done, and the parameters by name


class Recorder:
    """Watches one run, from where it stands."""

    def __init__(self, folder: RunFolder, trainer: Trainer, rows: RowSource) -> None:
        """Go on with what is in the folder of the epochs that are done."""
        self._folder = folder
        self._trainer = trainer
        self._probe = rows.head(PROBE_ROWS)
        done = trainer.epoch.number - 1
        # As they stand: numbers that were read may be written with other digits.
        self._looks = [line for look, line in _read_lines(folder) if look.epoch <= done]
        self._snapshots = [own for own in read_snapshots(folder) if own[0] <= done]
        size = trainer.optimizer.parameters.values.nbytes
        self._most_snapshots = _MAX_BYTES // size if size <= _MAX_BYTES // 8 else 0
        self._before: Tensor | None = None
        if not done and not trainer.epoch.num_steps:
            self._keep_snapshot(0)
        self._remember()

    def observe(self, event: Progress | EpochResult) -> None:
        """Take note of what is worth it; StorageError where it can't be written."""
        if isinstance(event, EpochResult) and is_recorded(event.epoch):
            look = collect_statistics(self._trainer, self._probe, event.epoch, self._before)
            self._looks.append(look.model_dump_json())
            with atomic_file(self._folder.inside, is_durable=False) as file:
                file.write("".join(f"{line}\n" for line in self._looks).encode())
            self._keep_snapshot(event.epoch)
        self._remember()

    def _remember(self) -> None:
        """Keep the weights before the last step of an epoch that will be looked at."""
        epoch = self._trainer.epoch
        if epoch.num_steps == self._trainer.schedule.steps_per_epoch - 1:
            is_wanted = is_recorded(epoch.number)
            values = self._trainer.optimizer.parameters.values
            self._before = values.clone() if is_wanted else None

    def _keep_snapshot(self, epoch: int) -> None:
        if not self._most_snapshots:
            return
        if len(self._snapshots) == self._most_snapshots:
            del self._snapshots[1::2]  # the first weights stay
        self._snapshots.append((epoch, as_weights(self._trainer)))
        tensors = {
            f"{number}/{name}": tensor
            for number, own in self._snapshots
            for name, tensor in own.items()
        }
        with atomic_file(self._folder.snapshots, is_durable=False) as file:
            file.write(safetensors.torch.save(tensors))


def read_looks(folder: RunFolder) -> list[EpochStatistics]:
    """Return the looks that can be read, in the order of epochs."""
    return [look for look, _ in _read_lines(folder)]


def _read_lines(folder: RunFolder) -> list[tuple[EpochStatistics, str]]:
    found: list[tuple[EpochStatistics, str]] = []
    with suppress(OSError, ValidationError, UnicodeDecodeError):
        lines = folder.inside.read_text("utf-8").splitlines()
        found.extend((EpochStatistics.model_validate_json(line), line) for line in lines)
    return found


def read_snapshots(folder: RunFolder) -> list[Snapshot]:
    """Return the snapshots in the order of epochs; none where they can't be read."""
    found: dict[int, dict[str, Tensor]] = {}
    with suppress(OSError, safetensors.SafetensorError, ValueError):
        for key, tensor in safetensors.torch.load(folder.snapshots.read_bytes()).items():
            number, name = key.split("/", 1)
            found.setdefault(int(number), {})[name] = tensor
    return sorted(found.items())
