"""The networks of a search whose settings are judged on folds, and an ensemble of the best.

Each of a setting's networks holds a fold out, so that together they predict every row by weights
that have not seen it: settings are weighed on all rows, and none is trained once more.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.torch
from torch import Tensor

from dlcli.config.loading import change_config
from dlcli.data.folding.rows import FoldedRows
from dlcli.errors import CheckpointError
from dlcli.files import atomic_file
from dlcli.metrics import metrics_for
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.folder.run_folder import RunFolder, move_paths, write_summary
from dlcli.runs.folds.ensemble_file import write_ensemble
from dlcli.runs.folds.fold_trials import of_one
from dlcli.runs.folds.predicted_rows import PredictedRows, rows_to_judge
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.restore import restore
from dlcli.tables.table import Table
from dlcli.training.engines.threads import using_threads
from dlcli.training.evaluation import compute_predictions, to_predictions
from dlcli.training.saving.checkpoint import Checkpoint, save_checkpoint
from dlcli.trials.ensembling import greedy_weights, weighted_mean
from dlcli.trials.results import Figures, FinishedTrial, HeldOutPart, TrialResult
from dlcli.trials.searching.findings import EnsembleOfBest, best_of_all
from dlcli.trials.searching.search import Entry
from dlcli.trials.setup import TrialResolver
from dlcli.trials.trial import Trial

_SMOOTHING = 0.05  # of labels, where settings are weighed


@dataclass(frozen=True)
class FoldNetworks:
    """The trials of a search on folds; those of the best settings with their networks."""

    folder: RunFolder
    first: Prepared  # the config and the data of the first fold
    folds: FoldedRows
    resolver: TrialResolver
    finished: FinishedTrials

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        """Return a trial's result; None while it is not finished."""
        return self.finished.find(trial, is_evaluated=is_evaluated)

    def add(self, result: TrialResult) -> None:
        """Refuse a trial without weights."""
        raise AssertionError(f"{result.trial.key} is kept with its weights")

    def keep(self, result: TrialResult, finished: FinishedTrial) -> None:
        """Keep a finished trial and its network; one that is there already stays."""
        if self.finished.find(result.trial, is_evaluated=True) is not None:
            return
        if finished.weights and finished.outputs is not None and result.is_sound:
            path = self._path(result.trial)
            self.folder.members.mkdir(exist_ok=True)
            with atomic_file(_outputs_path(path)) as file:
                file.write(safetensors.torch.save({"outputs": finished.outputs.contiguous()}))
            save_checkpoint(path, self._checkpoint(finished))
        self.finished.add(result)

    def prune(self, entries: Sequence[Entry]) -> None:
        """Remove the networks of settings that are not among the best: they never will be again."""
        best = {(entry.number, entry.rung) for entry in best_of_all(entries)}
        for entry in entries:
            if (entry.number, entry.rung) not in best:
                for result in entry.results:
                    path = self._path(result.trial)
                    path.unlink(missing_ok=True)
                    _outputs_path(path).unlink(missing_ok=True)

    def conclude(self, entries: Sequence[Entry]) -> EnsembleOfBest | None:
        """Weigh the best settings on the held-out rows, and write the ensemble; None without any.

        Weights are found on all held-out rows; the figures for these rows are those of weights that
        were found on the other half of them.
        """
        best = best_of_all(entries)
        if not best:
            return None
        with using_threads(1):
            each = [self._held_out(entry) for entry in best]
            rows, halves = self._judged(self._rows_held_out()), self._halves()
            weights = weigh_settings(each, rows)
            out_of_fold = weighted_mean(each, weights)
            for half in (halves, ~halves):
                if half.any() and not half.all():
                    others = [one[~half] for one in each]
                    found = weigh_settings(others, rows.take(~half))
                    out_of_fold[half] = weighted_mean([one[half] for one in each], found)
            figures: dict[HeldOutPart, Figures] = {"validation": _figures(rows, out_of_fold)}
            members = [
                (self._path(result.trial), weight / len(entry.results))
                for entry, weight in zip(best, weights, strict=True)
                if weight
                for result in entry.results
            ]
            if self.folds.test_rows is not None:
                test = self._judged(self.folds.test_rows)
                on_test = [self._on_test(path) for path, _ in members]
                of_each = [weight for _, weight in members]
                figures["test"] = _figures(test, weighted_mean(on_test, of_each))
        summary = {"validation": figures["validation"], "test": figures.get("test")}
        write_summary(self.folder, summary)
        write_ensemble(self.folder, self.folds.whole.fitted.target, members)
        shares: dict[int, float] = {}
        for entry, weight in zip(best, weights, strict=True):
            if weight:
                shares[entry.number] = shares.get(entry.number, 0.0) + weight
        return EnsembleOfBest(shares, figures, len(members))

    def _path(self, trial: Trial) -> Path:
        name = hashlib.sha256(trial.key.encode()).hexdigest()[:16]
        return self.folder.members / f"{name}.safetensors"

    def _held_out(self, entry: Entry) -> np.ndarray:
        """Return the predictions of the networks of settings for the rows held out, [rows, …]."""
        found: np.ndarray | None = None
        for result in entry.results:
            setup = self.resolver.resolve(result.trial).setup
            outputs = _outputs(_outputs_path(self._path(result.trial)))
            predictions = to_predictions(outputs, setup.loss, setup.target)
            if found is None:
                found = np.zeros((len(self.folds.rows), *predictions.shape[1:]))
            found[self.folds.folds[_fold(result.trial)].validation] = predictions
        assert found is not None, "there are two folds or more"
        known: np.ndarray = found[self.folds.held_out]
        return known

    def _on_test(self, path: Path) -> np.ndarray:
        assert self.folds.test_rows is not None, "it was asked for"
        member = restore(path)
        inputs, _ = member.fitted.encode_inputs(self.folds.test_rows)
        network, target = member.network, member.fitted.target
        return compute_predictions(network, inputs, member.placement, member.loss, target)

    def _rows_held_out(self) -> Table:
        return self.folds.rows.take(np.flatnonzero(self.folds.held_out))

    def _halves(self) -> np.ndarray:
        """Return which half of its fold each row that is held out is in, bool [rows]."""
        found = np.zeros(len(self.folds.rows), bool)
        for number, fold in enumerate(self.folds.folds):
            found[fold.validation] = self.folds.halves(number)
        known: np.ndarray = found[self.folds.held_out]
        return known

    def _judged(self, rows: Table) -> PredictedRows:
        group = self.first.config.data.split.group
        return rows_to_judge(rows, self.folds.whole.fitted, self.first.loss, group)

    def _checkpoint(self, finished: FinishedTrial) -> Checkpoint:
        trial, first = finished.trial, self.first
        setup = self.resolver.resolve(trial).setup
        assert setup.fitted is not None, "it is of a fold"
        changed = change_config(self.folds.loaded, trial.changes)
        is_same = changed.config.data == change_config(self.folds.loaded, {}).config.data
        dataset = first.dataset if is_same else self.folds.dataset(_fold(trial), changed)
        config = prepare(changed, dataset, is_trial=True).config
        return Checkpoint(
            config=of_one(move_paths(config, first.folder, self.folder.path), trial.seed),
            fitted=setup.fitted,
            checksums=dict(first.checksums),
            epoch=finished.best_epoch,
            weights=finished.weights,
        )


def weigh_settings(each: Sequence[np.ndarray], rows: PredictedRows) -> list[float]:
    """Return greedy weights (Caruana et al. 2004) of settings by their predictions, [rows, …] each.

    Labels are smoothed: where classes are easily told apart, the log loss of a few hundred rows is
    that of the two or three worst, and favours the settings that are right about those by chance.
    """
    smoothed = replace(rows, loss=rows.loss.smoothed(_SMOOTHING))
    return greedy_weights(each, smoothed.mean_loss)


def _fold(trial: Trial) -> int:
    assert trial.fold is not None, "it is of a fold"
    return trial.fold


def _outputs_path(path: Path) -> Path:
    return path.with_suffix(".outputs")


def _outputs(path: Path) -> Tensor:
    try:
        return safetensors.torch.load(path.read_bytes())["outputs"]
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path}: missing or damaged: {error}; search anew in another --run-dir"
        ) from None


def _figures(rows: PredictedRows, predictions: np.ndarray) -> Figures:
    found = rows.figures(predictions)
    names = ("loss", *(metric.name for metric in metrics_for(rows.target.task)))
    return {name: found[name] for name in names}
