"""The finished trials of folds in a run folder: their networks, and outputs for held-out rows."""

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from dlcli.config import Config
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.folder.run_folder import RunFolder, move_paths
from dlcli.runs.folds.preparation import PreparedFolds
from dlcli.training.saving.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dlcli.trials.results import FinishedTrial, TrialResult
from dlcli.trials.setup import TrialResolver
from dlcli.trials.trial import Trial


class FoldTrials:
    """Trials of a folder, there once their files are; raises CheckpointError, StorageError."""

    def __init__(self, folder: RunFolder, folds: PreparedFolds, resolver: TrialResolver) -> None:
        """Read which trials are finished, or begin anew."""
        self._resolver = resolver
        self._folder = folder
        self._folds = folds
        self._finished = FinishedTrials(folder, folds.first.checksums, folder.fold_trials)
        folder.members.mkdir(exist_ok=True)

    def __len__(self) -> int:
        return len(self._finished)

    @property
    def checksums(self) -> Mapping[str, str]:
        """SHA-256 of the data that they were trained on."""
        return self._finished.checksums

    def path(self, trial: Trial) -> Path:
        """Return the checkpoint of a trial's network."""
        assert trial.fold is not None, "it is of a fold"
        return self._folder.members / f"{trial.fold + 1:03}.safetensors"

    def find(self, trial: Trial, *, is_evaluated: bool = False) -> TrialResult | None:
        """Return a trial's result; None while it is not finished, or its files are gone."""
        found = self._finished.find(trial, is_evaluated=is_evaluated)
        is_there = self.path(trial).is_file() and self._outputs_path(trial).is_file()
        return found if is_there else None

    def add(self, result: TrialResult) -> None:
        """Refuse a trial without weights."""
        raise AssertionError(f"{result.trial.key} is kept with its weights")

    def keep(self, result: TrialResult, finished: FinishedTrial) -> None:
        """Keep a trial that a stack has finished; one that is there already stays."""
        if self.find(result.trial) is not None:
            return
        if finished.weights:
            assert finished.outputs is not None, "it is of a fold"
            with atomic_file(self._outputs_path(result.trial)) as file:
                file.write(safetensors.torch.save({"outputs": finished.outputs.contiguous()}))
            save_checkpoint(self.path(result.trial), self._checkpoint(finished))
        self._finished.add(result)

    def weights_and_outputs(self, trial: Trial) -> tuple[Checkpoint, Tensor]:
        """Return a trial's network and its outputs for the rows that its fold holds out."""
        path = self._outputs_path(trial)
        try:
            outputs = safetensors.torch.load(path.read_bytes())["outputs"]
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                f"{path}: damaged: {error}; remove it, and its fold is trained anew"
            ) from None
        if not torch.isfinite(outputs).all():
            raise CheckpointError(f"{path}: damaged: it holds what is never saved; remove it")
        return load_checkpoint(self.path(trial)), outputs

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self._finished.sync()

    def _outputs_path(self, trial: Trial) -> Path:
        return self.path(trial).with_suffix(".outputs")

    def _checkpoint(self, finished: FinishedTrial) -> Checkpoint:
        first, setup = self._folds.first, self._resolver.resolve(finished.trial).setup
        assert setup.fitted is not None, "it is of a fold"
        return Checkpoint(
            config=of_one(
                move_paths(first.config, first.folder, self._folder.path), finished.trial.seed
            ),
            fitted=setup.fitted,
            checksums=dict(first.dataset.checksums),
            epoch=finished.best_epoch,
            weights=finished.weights,
        )


def of_one(config: Config, seed: int) -> Config:
    """Return the config of one network, whose seed has no say in which rows test."""
    data = config.data
    if data.split.is_drawn:
        split = data.split.model_copy(update={"seed": config.split_seed})
        data = data.model_copy(update={"split": split})
    return config.model_copy(update={"seed": seed, "folds": None, "data": data})
