"""The learning-rate range test: seeds side by side are what each is alone."""

import math

import pytest
import torch

from dlcli.config.sections.compare import Candidate
from dlcli.trials import range_test as module
from dlcli.trials.range_test import range_test, rising_rates
from dlcli.trials.trial import SharedSetup
from tests.trials.test_stacked import read_problem

OPTIMIZERS = ["sgd", "nesterov", "adam"]


def run(problem: SharedSetup, optimizer: str, lrs: list[float]) -> torch.Tensor:
    chosen = Candidate.model_validate(optimizer).optimizer
    return torch.tensor(list(range_test(problem, chosen, [5, 3, 4], lrs)))


def test_rates_rise_by_even_ratios() -> None:
    assert rising_rates(0.001, 10.0, 5) == pytest.approx([0.001, 0.01, 0.1, 1.0, 10.0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch", ["batch_size=64", "batch_size=full"])
def test_together_and_one_by_one_are_the_same(
    optimizer: str, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = read_problem("penguins.yaml", f"training.{batch}")
    lrs = rising_rates(1e-4, 1e-2, 12)  # more steps than an epoch has
    together = run(problem, optimizer, lrs)
    monkeypatch.setattr(module, "obstacle_to_stacking", lambda _: "for once")
    assert torch.allclose(together, run(problem, optimizer, lrs), rtol=1e-4)
    assert together.shape == (12, 3)
    assert len(set(together[0].tolist())) == 3  # each seed has its own weights and rows


def test_it_ends_where_nothing_is_learned_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = read_problem("diabetes.yaml")
    lrs = rising_rates(1e-3, 1e30, 100)
    for obstacle in (None, "for once"):
        monkeypatch.setattr(module, "obstacle_to_stacking", lambda _, why=obstacle: why)
        losses = run(problem, "sgd", lrs)
        assert 3 < len(losses) < 60
        assert (losses[-1] > 10 * losses[0]).all()
        assert not losses.isnan().any()


def test_losses_are_in_the_targets_units() -> None:
    problem = read_problem("diabetes.yaml", "training.batch_size=full")
    first = run(problem, "sgd", [1e-9, 1e-9])[0]
    assert all(1000 < loss < 20_000 for loss in first.tolist())  # of a deviation of 77, squared
    assert math.isfinite(first.sum())
