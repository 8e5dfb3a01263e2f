"""What trained folds show: weights, out-of-fold and test figures with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from dlcli.data.folding.rows import FoldedRows
from dlcli.errors import DivergedError
from dlcli.runs.folds.fold_trials import FoldTrials
from dlcli.runs.folds.predicted_rows import PredictedRows, rows_to_judge
from dlcli.runs.folds.preparation import PreparedFolds
from dlcli.runs.restore import restore
from dlcli.seeds import derive_seed
from dlcli.training.evaluation import compute_predictions, to_predictions
from dlcli.trials.ensembling import greedy_weights, weighted_mean
from dlcli.trials.results import TrialResult
from dlcli.trials.trial import Trial


@dataclass(frozen=True)
class TrainedFolds:
    """Predictions of the networks of folds, all finished."""

    results: tuple[TrialResult, ...]  # trial by trial
    held_out: np.ndarray  # bool [rows of all folds]: whether a fold holds each out
    of_repeats: tuple[np.ndarray, ...]  # for the rows held out, of each repeat: [rows, …]
    rows: PredictedRows  # these rows
    halves: np.ndarray  # which half each of them is in, bool [rows]
    on_test: tuple[np.ndarray, ...]  # of each trial, [test rows, …]; empty: there are none
    test: PredictedRows | None


@dataclass(frozen=True)
class EnsembleOutcome:
    """Weights of the trials in the ensemble, and how good it is."""

    weights: tuple[float, ...]  # of each trial; they add up to 1
    of_repeats: tuple[float, ...]  # of each repeat
    out_of_fold: np.ndarray  # the ensemble's predictions for rows that are held out, [rows, …]
    figures: Mapping[str, dict[str, Any] | None]  # "validation" (out of fold) and "test"
    intervals: Mapping[str, dict[str, dict[str, float | None]]]  # by part and figure
    single: dict[str, float | None]  # the out-of-fold figures of one repeat, on average


def collect(folds: PreparedFolds, trials: Sequence[Trial], kept: FoldTrials) -> TrainedFolds:
    """Read what trials have left, and predict the test rows; DivergedError where one has nothing.

    Raises CheckpointError where files are damaged.
    """
    rows, first = folds.rows, folds.first
    held_out, number = rows.held_out, rows.num_folds
    results, on_test = [], []
    of_repeats: list[np.ndarray] = []
    halves = np.zeros(len(rows.rows), bool)
    for trial in trials:
        assert trial.fold is not None, "it is of a fold"
        result = kept.find(trial)
        if result is None:
            raise diverged(trial.fold, folds)
        results.append(result)
        checkpoint, outputs = kept.weights_and_outputs(trial)
        predictions = to_predictions(outputs, first.loss, checkpoint.fitted.target)
        repeat, places = trial.fold // number, rows.folds[trial.fold].validation
        if repeat == len(of_repeats):
            of_repeats.append(np.zeros((len(rows.rows), *predictions.shape[1:])))
        of_repeats[repeat][places] = predictions
        if not repeat:
            halves[places] = rows.halves(trial.fold)
        if rows.test_rows is not None:
            member = restore(kept.path(trial))
            inputs, _ = member.fitted.encode_inputs(rows.test_rows)
            network, target = member.network, member.fitted.target
            placed = member.placement
            on_test.append(compute_predictions(network, inputs, placed, first.loss, target))
    known = rows.rows.take(np.flatnonzero(held_out))
    group = folds.config.data.split.group
    return TrainedFolds(
        tuple(results),
        held_out,
        tuple(one[held_out] for one in of_repeats),
        rows_to_judge(known, rows.whole.fitted, first.loss, group),
        halves[held_out],
        tuple(on_test),
        None
        if rows.test_rows is None
        else rows_to_judge(rows.test_rows, rows.whole.fitted, first.loss, group),
    )


def conclude(folds: PreparedFolds, trained: TrainedFolds) -> EnsembleOutcome:
    """Weigh the networks, and judge their mean on the rows that each was not trained on.

    Greedy weights are found on all held-out rows; the out-of-fold figures are those of weights
    found on the other half of them.
    """
    rows, repeats, seed = trained.rows, trained.of_repeats, folds.config.seed
    of_repeats = [1 / len(repeats)] * len(repeats)
    out_of_fold = weighted_mean(repeats, of_repeats)
    if folds.settings.weights == "greedy":
        of_repeats = greedy_weights(repeats, rows.mean_loss)
        for half in (trained.halves, ~trained.halves):
            if half.any() and not half.all():
                chosen = rows.take(~half)
                found = greedy_weights([one[~half] for one in repeats], chosen.mean_loss)
                out_of_fold[half] = weighted_mean([one[half] for one in repeats], found)
    weights = [
        of_repeats[int(result.trial.fold or 0) // folds.rows.num_folds] / folds.rows.num_folds
        for result in trained.results
    ]
    parts = {"validation": (rows, out_of_fold)}
    if trained.test is not None:
        parts["test"] = (trained.test, weighted_mean(trained.on_test, weights))
    figures: dict[str, dict[str, Any] | None] = {"validation": None, "test": None}
    intervals = {}
    for part, (judged, predictions) in parts.items():
        figures[part] = judged.figures(predictions)
        found_intervals = judged.intervals(predictions, derive_seed(seed, "intervals", part))
        intervals[part] = {name: asdict(one) for name, one in found_intervals.items()}
    return EnsembleOutcome(
        tuple(weights), tuple(of_repeats), out_of_fold, figures, intervals, _mean_figures(trained)
    )


def _mean_figures(trained: TrainedFolds) -> dict[str, float | None]:
    """Return the mean over repeats of the figures of the rows' predictions by one repeat."""
    each = [trained.rows.figures(one) for one in trained.of_repeats]
    found: dict[str, float | None] = {}
    for name in each[0]:
        values = [one[name] for one in each]
        if not isinstance(values[0], list | dict):  # of one class, or of one label, or of a step
            found[name] = None if None in values else float(np.mean(values))
    return found


def diverged(fold: int, folds: PreparedFolds) -> DivergedError:
    """Return the error for a fold whose network has no epoch with finite figures."""
    number = folds.rows.num_folds
    repeats = folds.rows.num_repeats
    of_repeat = f" of repeat {fold // number + 1}" if repeats > 1 else ""
    return DivergedError(
        f"fold {fold % number + 1}{of_repeat} diverged in its first epoch, so there is no network "
        "of it: lower the learning rate (optimizer.lr), clip gradients "
        "(training.gradient_clip_norm: 1), or look at the data's scale (data.scale)"
    )


def prediction_table(
    rows: FoldedRows, trained: TrainedFolds, outcome: EnsembleOutcome
) -> pl.DataFrame:
    """Return a row for each held-out row: its place in the file, its fold, its predictions.

    `fold` is that of the first repeat, from 1; predictions are the ensemble's for this row.
    """
    fold_of = np.zeros(len(rows.rows), np.int64)
    for number, fold in enumerate(rows.folds[: rows.num_folds], 1):
        fold_of[fold.validation] = number
    target = rows.whole.fitted.target
    known = rows.rows.take(np.flatnonzero(trained.held_out))
    return pl.DataFrame(
        [
            pl.Series("place", [known.position(row) for row in range(len(known))]),
            pl.Series("fold", fold_of[trained.held_out]),
            known.column(target.name).alias("truth"),
            *target.prediction_columns(outcome.out_of_fold),
        ]
    )
