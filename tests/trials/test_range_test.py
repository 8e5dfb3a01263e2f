"""The learning-rate range test: seeds side by side are what each is by itself."""

import math

import pytest
import torch

from dlcli.trials.range_test import RangeTest, rising_rates
from dlcli.trials.running import rate_steps
from dlcli.trials.running.executor import Executor, StepLosses
from dlcli.trials.setup import TrialResolver
from tests.trials.test_rules import read_resolver

OPTIMIZERS = ["{type: sgd}", "{type: sgd, momentum: 0.9, nesterov: true}", "{type: adam}"]


def run(resolver: TrialResolver, lrs: list[float]) -> torch.Tensor:
    """Return the losses, [steps, seeds], up to where the test ends."""
    rule = RangeTest([5, 3, 4], lrs)
    [stage] = rule.stages()
    for event in Executor(resolver).execute(stage):
        assert isinstance(event, StepLosses)
        if not rule.observe(event.losses):
            break
    return torch.tensor(rule.losses)


def test_rates_rise_by_even_ratios() -> None:
    assert rising_rates(0.001, 10.0, 5) == pytest.approx([0.001, 0.01, 0.1, 1.0, 10.0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch", ["batch_size=64", "batch_size=full"])
def test_stacked_and_sequential_are_the_same(
    optimizer: str, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = read_resolver("penguins.yaml", f"training.{batch}", f"optimizer={optimizer}")
    lrs = rising_rates(1e-4, 1e-2, 12)  # more steps than an epoch has
    stacked = run(resolver, lrs)
    monkeypatch.setattr(rate_steps, "obstacle_to_stacking", lambda _: "for once")
    assert torch.allclose(stacked, run(resolver, lrs), rtol=1e-4)
    assert stacked.shape == (12, 3)
    assert len(set(stacked[0].tolist())) == 3  # each seed has its own weights and rows


def test_it_ends_where_nothing_is_learned_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = read_resolver("diabetes.yaml", "optimizer={type: sgd}")
    lrs = rising_rates(1e-3, 1e30, 100)
    for obstacle in (None, "for once"):
        monkeypatch.setattr(rate_steps, "obstacle_to_stacking", lambda _, why=obstacle: why)
        losses = run(resolver, lrs)
        assert 3 < len(losses) < 60
        assert (losses[-1] > 10 * losses[0]).all()
        assert not losses.isnan().any()


def test_cut_batches_have_other_dropout_at_every_step() -> None:
    resolver = read_resolver(
        "moons.yaml",
        "training={batch_size: full, shards: 2}",
        "model.layers=[{type: dropout, rate: 0.5}, {type: dense}]",
        "optimizer={type: sgd}",
    )
    losses = run(resolver, [1e-12, 1e-12, 1e-12])  # the same rows and weights at every step
    assert [len(set(of_seed.tolist())) for of_seed in losses.T] == [3, 3, 3]


def test_losses_are_in_the_targets_units() -> None:
    resolver = read_resolver("diabetes.yaml", "training.batch_size=full", "optimizer={type: sgd}")
    first = run(resolver, [1e-9, 1e-9])[0]
    assert all(1000 < loss < 20_000 for loss in first.tolist())  # of a deviation of 77, squared
    assert math.isfinite(first.sum())


def test_rows_without_validation_will_do() -> None:
    resolver = read_resolver(
        "moons.yaml", "data.split.validation=0", "training.early_stopping=null"
    )
    assert run(resolver, [1e-3, 1e-2]).shape == (2, 3)
