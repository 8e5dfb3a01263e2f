"""Optimizers that average the weights: schedule-free AdamW and averaged gradient descent."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dlcli.errors import ConfigError
from dlcli.training.loop import fit
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.saving.state import capture, restore_state
from dlcli.trials.setup import SharedSetup, assemble_trial
from tests.conftest import ROOT, Command
from tests.optimizers.samples import read
from tests.trials.test_stacked import check_trials, read_setup, trials

ASGD = {"type": "asgd", "t0": 3.0}
SCHEDULE_FREE = {"type": "schedulefree_adamw", "weight_decay": 0.1}
BOTH = pytest.mark.parametrize("settings", [ASGD, SCHEDULE_FREE], ids=["asgd", "schedulefree"])
CHANGES = ("training.epochs=3", "training.batch_size=150", "training.early_stopping=null")

# schedulefree 1.4.1: of p = Parameter(tensor([1.0, -2.0])), with
# AdamWScheduleFree([p], lr=0.1, weight_decay=0.1, r=R, weight_lr_power=2.0), in train() mode and
# p.grad = p.detach() ** 3 + 0.5 before each step, of a learning rate of 0.05, 0.1, 0.1, 0.02 and
# 0.1; p after each, and p after eval().
PACKAGES = {
    0.0: (
        [
            [0.94499999, -1.93999994], [0.85986602, -1.84618855], [0.80471677, -1.7847954],
            [0.78041041, -1.75773036], [0.74094832, -1.71384692],
        ],
        [0.75200921, -1.72614884],
    ),
    1.0: (
        [
            [0.94499999, -1.93999994], [0.85156024, -1.83703625], [0.78876859, -1.76701701],
            [0.76290065, -1.73817217], [0.71584791, -1.68586779],
        ],
        [0.72374302, -1.694646],
    ),
}  # fmt: skip


def one_parameter(**settings: float) -> Optimizer[FlatParameters]:
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -2.0]]))
    config = read({"type": "schedulefree_adamw", "lr": 0.1, "weight_decay": 0.1, **settings})
    return Optimizer(config, FlatParameters(network))


@pytest.mark.parametrize("r", PACKAGES)
def test_schedule_free_adamw_is_the_packages(r: float) -> None:
    optimizer = one_parameter(r=r)
    trained, judged = PACKAGES[r]
    assert optimizer.judged_values() is None
    for lr, expected in zip((0.05, 0.1, 0.1, 0.02, 0.1), trained, strict=True):
        optimizer.lr = lr
        optimizer.gradient[:2].copy_(optimizer.values[:2] ** 3 + 0.5)
        optimizer.step()
        assert optimizer.values[:2].tolist() == pytest.approx(expected, rel=1e-6)
    average = optimizer.judged_values()
    assert average is not None
    assert average[:2].tolist() == pytest.approx(judged, rel=1e-6)


def test_asgd_judges_the_mean_of_the_weights_from_t0_on() -> None:
    network = nn.Linear(2, 1, bias=False)
    optimizer = Optimizer(read({"type": "asgd", "t0": 1.0, "lr": 0.1}), FlatParameters(network))
    seen = []
    for _ in range(6):
        optimizer.gradient.copy_(optimizer.values)
        optimizer.step()
        seen.append(optimizer.values[:2].clone())
    average = optimizer.judged_values()
    assert average is not None
    # torch's share of a step is set by the step before: 1, 1, 1, 1/2, 1/3, 1/4.
    assert torch.allclose(average[:2], torch.stack(seen[2:]).mean(0))


def setup(*changes: str) -> SharedSetup:
    return read_setup("moons.yaml", *CHANGES, *changes)


@BOTH
def test_a_run_judges_the_average_and_trains_on_with_the_weights(
    settings: dict[str, object],
) -> None:
    shared = setup()
    trainer = assemble_trial(trials(shared, [settings])[0])
    list(fit(trainer, shared.train, None))
    average = trainer.optimizer.judged_values()
    assert average is not None
    assert trainer.best is not None
    found = dict(
        zip(trainer.parameter_names, trainer.optimizer.parameters.split(average), strict=True)
    )
    for name, tensor in found.items():
        assert torch.equal(trainer.best.weights[name], tensor)
        assert not torch.equal(trainer.network.get_parameter(name), tensor)


@BOTH
def test_a_resumed_run_has_the_same_bits(settings: dict[str, object]) -> None:
    shared = setup()
    straight, first, second = (assemble_trial(trials(shared, [settings])[0]) for _ in range(3))
    list(fit(straight, shared.train, shared.validation))
    under_way = fit(first, shared.train, shared.validation)
    for _ in range(7):
        next(under_way)
    restore_state(second, capture(first))
    list(fit(second, shared.train, shared.validation))
    assert torch.equal(second.optimizer.values, straight.optimizer.values)
    assert straight.best is not None
    assert second.best is not None
    for name, tensor in straight.best.weights.items():
        assert torch.equal(second.best.weights[name], tensor)


@BOTH
def test_stacked_runs_judge_the_averages_of_single_ones(settings: dict[str, object]) -> None:
    check_trials(trials(setup(), [settings]))


def test_a_saved_run_predicts_with_the_average(dlcli: Command) -> None:
    options = ["--set", "report=false", "--set", "optimizer=schedulefree_adamw"]
    options += [item for change in CHANGES for item in ("--set", change)]
    outcome = dlcli("train", ROOT / "configs" / "moons.yaml", "--run-dir", "r", *options)
    assert outcome.code == 0, outcome.err
    assert "weights averaged by schedulefree_adamw: the average is judged" in outcome.out
    last = json.loads(Path("r/metrics.jsonl").read_text().splitlines()[-1])
    judged = json.loads(dlcli("evaluate", "r/last.safetensors", "--json").out)["validation"]
    assert judged["loss"] == pytest.approx(last["validation"]["loss"], rel=1e-6)


def test_rates_of_steps_can_not_be_tested_where_only_the_first_counts(dlcli: Command) -> None:
    outcome = dlcli("find-lr", ROOT / "configs" / "moons.yaml", "--set", "optimizer=rprop")
    assert outcome.code == 2
    assert "rprop takes the learning rate of the first step only" in outcome.err


def test_without_momentum_there_is_nothing_to_average() -> None:
    with pytest.raises((ConfigError, ValueError), match=r"`betas\[0\]` must be above 0"):
        read({"type": "schedulefree_adamw", "betas": (0.0, 0.9)})
