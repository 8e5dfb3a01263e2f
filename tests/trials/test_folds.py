"""Trials of folds: stacked across folds as by themselves, and predicted without looking ahead."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dlcli.config import load_config
from dlcli.config.sections.training import EarlyStopping
from dlcli.data.folding.rows import fold_rows
from dlcli.runs.comparison.setup import build_fold_resolver
from dlcli.runs.preparation import prepare
from dlcli.training.device import Placement
from dlcli.trials.cross_fitting import CrossFitted, mean_losses
from dlcli.trials.results import FinishedTrial, TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import LocalProcesses
from dlcli.trials.running.execution import plan_execution, without_finished
from dlcli.trials.running.executor import Executor, StageStarted, TrialFinished
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.stacked import run_stacked
from dlcli.trials.setup import ResolvedTrial, TrialResolver
from dlcli.trials.trial import Trial
from tests.trials.test_stacked import check_alike, over

CPU = Placement(torch.device("cpu"), torch.float32, "for this test")

LAYERS = "[{type: dense, units: 6, activation: tanh}, {type: dropout, rate: 0.2}, {type: dense}]"
NUM_FOLDS = 3


def write(folder: Path, num_rows: int, **columns: Any) -> Path:
    random = np.random.default_rng(5)
    x = random.normal(size=(num_rows, 2)).round(5)
    kinds = {"y": np.where(x[:, 0] * x[:, 1] > 0, "a", "b"), "n": x[:, 0] * 3 + 7}
    frame = pl.DataFrame({"p": x[:, 0], "q": x[:, 1], "w": 1 + np.arange(num_rows) % 3, **kinds})
    frame.with_columns(**columns).write_csv(folder / "t.csv")
    return folder


def resolver_of(folder: Path, data: str, *settings: str, repeats: int = 2) -> TrialResolver:
    (folder / "c.yaml").write_text(
        f"data: {{path: t.csv, features: [p, q], {data}}}\nmodel: {{layers: {LAYERS}}}\n"
        "training: {batch_size: 8, epochs: 4, device: cpu}\n"
    )
    loaded = load_config(folder / "c.yaml", list(settings))
    rows = fold_rows(loaded, NUM_FOLDS, repeats)
    return build_fold_resolver(rows, prepare(rows.loaded, rows.dataset(0)), CPU)


def resolved(resolver: TrialResolver, num_folds: int = 6) -> list[ResolvedTrial]:
    return [
        resolver.resolve(Trial(changes={}, seed=9 + fold, fold=fold)) for fold in range(num_folds)
    ]


WEIGHTED = "{type: binary_cross_entropy, class_weights: {a: 2}}"
CASES = {
    "classes": (60, "target: y", ()),
    "weights": (
        60,
        "target: y, weight: w",
        ("loss={type: binary_cross_entropy, class_weights: {a: 2}}",),
    ),
    "numbers, a metric": (60, "target: n", ("training.early_stopping={patience: 2, metric: mae}",)),
    "whole batches": (60, "target: n, target_scale: log", ("training.batch_size=full",)),
    "averaged weights": (60, "target: y", ("training.ema={decay: 0.8}",)),
    "members": (60, "target: n", ("model.ensemble={members: 3}",)),
    "a short patience": (60, "target: y", ("training={epochs: 9, early_stopping: {patience: 1}}",)),
    "accuracy": (63, "target: y", ("training.early_stopping={patience: 3, metric: accuracy}",)),
}


@pytest.mark.parametrize("name", CASES)
def test_folds_in_a_stack_are_what_they_are_by_themselves(name: str, tmp_path: Path) -> None:
    num_rows, data, settings = CASES[name]
    frame = {"n": pl.col("n") + 20} if "log" in data else {}
    resolver = resolver_of(write(tmp_path, num_rows, **frame), data, *settings)
    trials = resolved(resolver)
    assert all(trials[0].setup.stacks_with(trial.setup) for trial in trials)
    alone = {finished.trial: finished for finished in over(run_sequentially(trials))}
    stacked = over(run_stacked(trials))
    assert len(stacked) == len(trials)
    for finished in stacked:
        other = alone[finished.trial]
        check_alike(finished, other)
        assert finished.outputs is not None
        assert other.outputs is not None
        assert finished.outputs.shape == other.outputs.shape
        assert torch.allclose(finished.outputs, other.outputs, atol=1e-4)


def test_folds_of_other_lengths_are_stacked_among_themselves(tmp_path: Path) -> None:
    trials = resolved(resolver_of(write(tmp_path, 61), "target: n"))
    lengths = [[len(trial.setup.train) for trial in job.trials] for job in plan_of(trials, 2)]
    assert sorted(map(len, lengths)) == [2, 2, 2]
    assert all(len({*some}) == 1 for some in lengths)


def plan_of(trials: Sequence[ResolvedTrial], num_processes: int) -> list[Any]:
    return [*plan_execution(trials, num_processes).jobs]


def test_what_is_stacked_depends_on_the_trials_alone(tmp_path: Path) -> None:
    trials = resolved(resolver_of(write(tmp_path, 60), "target: y"))
    plans = [
        [[trial.trial for trial in job.trials] for job in plan_of(trials, number)]
        for number in (1, 2, 7)
    ]
    assert plans[0] == plans[1] == plans[2]
    assert [len(job) for job in plans[0]] == [3, 3]
    whole = plan_execution(trials, 2)
    assert without_finished(whole, [whole.jobs[1].trials[0].trial]).jobs == whole.jobs[1:]
    assert not without_finished(whole, []).jobs


class Kept:
    def __init__(self) -> None:
        self.results: dict[Trial, TrialResult] = {}
        self.weights: dict[Trial, dict[str, torch.Tensor]] = {}

    def find(self, trial: Trial, *, is_evaluated: bool) -> TrialResult | None:
        del is_evaluated
        return self.results.get(trial)

    def add(self, result: TrialResult) -> None:
        self.results[result.trial] = result

    def keep(self, result: TrialResult, finished: FinishedTrial) -> None:
        self.add(result)
        self.weights[result.trial] = finished.weights


def test_an_interrupted_stack_is_done_again_to_the_same_bits(tmp_path: Path) -> None:
    resolver = resolver_of(write(tmp_path, 60), "target: y", "training.epochs=2")
    stage = Stage("folds", tuple(trial.trial for trial in resolved(resolver)))

    def executor(kept: Kept) -> Executor:
        backend = LocalProcesses(1)
        return Executor(resolver, kept, backend, keep=kept.keep)

    whole, resumed = Kept(), Kept()
    events = [*executor(whole).execute(stage)]
    assert isinstance(events[0], StageStarted)
    for event in executor(resumed).execute(stage):
        if isinstance(event, TrialFinished) and len(resumed.results) == 2:
            break
    [*_] = executor(resumed).execute(stage)
    assert resumed.weights.keys() == whole.weights.keys() == {*stage.trials}
    for trial, weights in whole.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, resumed.weights[trial][name])
    assert not executor(resumed).missing(stage)


def test_setups_that_are_forgotten_are_built_anew(tmp_path: Path) -> None:
    resolver = resolver_of(write(tmp_path, 60), "target: y")
    first, second = (trial.setup for trial in resolved(resolver, 2))
    assert resolved(resolver, 2)[1].setup is second
    resolver.forget([0, 1])
    again = resolved(resolver, 2)
    assert again[0].setup is first
    assert again[1].setup is not second
    assert torch.equal(again[1].setup.train.inputs["numbers"], second.train.inputs["numbers"])


def test_a_change_of_the_config_is_fitted_anew_in_each_fold(tmp_path: Path) -> None:
    resolver = resolver_of(write(tmp_path, 60), "target: y")
    changed = [
        resolver.resolve(Trial(changes={"data.scale": "minmax"}, seed=1, fold=fold)).setup
        for fold in range(NUM_FOLDS)
    ]
    for setup in changed:
        numbers = setup.train.inputs["numbers"]
        assert float(numbers.min()) == pytest.approx(changed[0].train.inputs["numbers"].min())
        assert float(numbers.max()) == pytest.approx(changed[0].train.inputs["numbers"].max())
    assert not torch.equal(changed[0].train.inputs["numbers"], changed[1].train.inputs["numbers"])


def test_rows_are_predicted_by_the_epoch_that_the_other_half_chose() -> None:
    halves = torch.tensor([False, False, True, True])
    crossed = CrossFitted.of(halves, None)
    # The first half is best in epoch 2, the second in epoch 3: each predicts the other's rows.
    for epoch, losses in enumerate([(3.0, 3.0), (1.0, 2.0), (2.0, 1.0)], 1):
        crossed.observe(epoch, losses, torch.full((4, 1), float(epoch)), None)
    assert crossed.outputs is not None
    assert crossed.outputs.flatten().tolist() == [3, 3, 2, 2]


def test_each_half_has_its_own_patience() -> None:
    halves = torch.tensor([False, True])
    crossed = CrossFitted.of(halves, EarlyStopping(patience=1))
    # The first half stops after epoch 2, whatever comes later; the second goes on.
    for epoch, losses in enumerate([(1.0, 3.0), (2.0, 2.0), (0.0, 1.0)], 1):
        assert not crossed.is_over
        crossed.observe(epoch, losses, torch.full((2, 1), float(epoch)), None)
    assert crossed.outputs is not None
    assert crossed.outputs.flatten().tolist() == [3, 1]
    crossed.observe(4, (0.0, 1.5), torch.full((2, 1), 4.0), None)
    assert crossed.is_over


def test_the_loss_of_each_half_is_weighted() -> None:
    each, halves = torch.tensor([1.0, 2.0, 3.0, 5.0]), torch.tensor([False, False, True, True])
    assert mean_losses(each, None, halves) == (1.5, 4.0)
    assert mean_losses(each, torch.tensor([1.0, 3.0, 1.0, 0.5]), halves) == pytest.approx(
        (1.75, 3 + 2 / 3)
    )


def test_folds_on_another_placement_do_not_stack(tmp_path: Path) -> None:
    setup = resolved(resolver_of(write(tmp_path, 60), "target: y"), 1)[0].setup
    other = replace(setup, placement=Placement(CPU.device, torch.bfloat16, "for this test"))
    assert not setup.stacks_with(other)
    assert setup.stacks_with(replace(setup))
