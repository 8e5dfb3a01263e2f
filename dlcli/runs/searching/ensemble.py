"""An ensemble of the best settings of a search: their networks, and how much each counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.config.loading import change_config
from dlcli.metrics import metrics_for
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.folder.run_folder import RunFolder, move_paths, write_summary
from dlcli.runs.folds.ensemble_file import write_ensemble
from dlcli.runs.folds.predicted_rows import PredictedRows
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.restore import restore
from dlcli.training.engines.threads import using_threads
from dlcli.training.evaluation import compute_outputs, to_predictions
from dlcli.training.rows.batches import Rows
from dlcli.training.saving.checkpoint import Checkpoint, save_checkpoint
from dlcli.trials.ensembling import greedy_weights, weighted_mean
from dlcli.trials.results import Figures, FinishedTrial, HeldOutPart, TrialResult
from dlcli.trials.searching.findings import EnsembleOfBest, best_settings
from dlcli.trials.searching.search import Entry
from dlcli.trials.setup import ResolvedTrial, TrialResolver
from dlcli.trials.trial import Trial


@dataclass
class EnsembleTrials:
    """The trials of an ensemble in the folder of a search, each with its network."""

    folder: RunFolder
    prepared: Prepared
    resolver: TrialResolver
    finished: FinishedTrials
    trials: tuple[Trial, ...]

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        """Return a trial's result; None while it or its network is missing."""
        found = self.finished.find(trial, is_evaluated=is_evaluated)
        is_there = found is not None and (not found.is_sound or self._path(trial).is_file())
        return found if is_there else None

    def add(self, result: TrialResult) -> None:
        """Refuse a trial without weights."""
        raise AssertionError(f"{result.trial.key} is kept with its weights")

    def keep(self, result: TrialResult, finished: FinishedTrial) -> None:
        """Keep a finished trial and its network; one that is there already stays."""
        if self.find(result.trial, is_evaluated=True) is not None:
            return
        if finished.weights and result.is_sound:
            self.folder.members.mkdir(exist_ok=True)
            save_checkpoint(self._path(result.trial), self._checkpoint(finished))
        if self.finished.find(result.trial, is_evaluated=True) is None:
            self.finished.add(result)

    def conclude(self, entries: Sequence[Entry]) -> EnsembleOfBest | None:
        """Weigh the networks on the validation rows, and write the ensemble; None without any.

        Greedy weights (Caruana et al. 2004): the loss of their mean is the lowest that was found.
        """
        pairs = [
            (entry, trial, self.resolver.resolve(trial))
            for entry, trial in zip(best_settings(entries), self.trials, strict=True)
            if self._path(trial).is_file()
        ]
        if not pairs:
            return None
        parts: dict[HeldOutPart, Rows | None] = {
            "validation": self.resolver.base.validation,
            "test": self.resolver.base.test,
        }
        figures: dict[HeldOutPart, Figures] = {}
        weights = list[float]()
        for part, rows in parts.items():
            if rows is None:
                continue
            with using_threads(1):
                each = [self._predictions(trial, one, part) for _, trial, one in pairs]
                judged = self._judged(rows)
                weights = weights or greedy_weights(each, judged.mean_loss)
                found = judged.figures(weighted_mean(each, weights))
            names = ("loss", *(metric.name for metric in metrics_for(judged.target.task)))
            figures[part] = {name: found[name] for name in names}
        paths = [self._path(trial) for _, trial, _ in pairs]
        target = self.prepared.dataset.fitted.target
        write_summary(self.folder, {part: figures.get(part) for part in parts})
        write_ensemble(self.folder, target, [*zip(paths, weights, strict=True)])
        shares = {
            entry.number: weight
            for (entry, _, _), weight in zip(pairs, weights, strict=True)
            if weight
        }
        return EnsembleOfBest(shares, figures, len(shares))

    def _path(self, trial: Trial) -> Path:
        return self.folder.members / f"{self.trials.index(trial) + 1:03}.safetensors"

    def _predictions(self, trial: Trial, resolved: ResolvedTrial, part: HeldOutPart) -> np.ndarray:
        setup = resolved.setup
        rows = setup.validation if part == "validation" else setup.test
        assert rows is not None, "the config has them"
        member = restore(self._path(trial))
        outputs = compute_outputs(member.network, rows.inputs, member.placement)
        return to_predictions(outputs, setup.loss, setup.target)

    def _judged(self, rows: Rows) -> PredictedRows:
        setup = self.resolver.base
        weights = None if rows.weights is None else rows.weights.cpu().double().numpy()
        encoded = rows.targets[setup.target.field].cpu().numpy()
        return PredictedRows(setup.loss, setup.target, encoded, weights)

    def _checkpoint(self, finished: FinishedTrial) -> Checkpoint:
        changed = change_config(self.prepared.loaded, finished.trial.changes)
        same = changed.config.data == self.prepared.loaded.config.data
        new = prepare(changed, self.prepared.dataset if same else None, is_trial=True)
        config = move_paths(new.config, self.prepared.folder, self.folder.path)
        split = config.data.split
        if (
            split.is_drawn and config.data.window is None
        ):  # the seed has no say in which rows there are
            split = split.model_copy(update={"seed": config.split_seed})
        data = config.data.model_copy(update={"split": split})
        return Checkpoint(
            config=config.model_copy(update={"seed": finished.trial.seed, "data": data}),
            fitted=new.dataset.fitted,
            checksums=dict(new.dataset.checksums),
            epoch=finished.best_epoch,
            weights=finished.weights,
        )
