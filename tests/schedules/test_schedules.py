"""What holds for every schedule: its rates, its state, and what it says about itself."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from dlcli.config import LoadedConfig
from dlcli.errors import ConfigError
from dlcli.schedules import SCHEDULES
from dlcli.schedules.base import ScheduleConfig
from dlcli.section import type_of
from dlcli.training.schedules import Schedule
from tests.families import Settings, check_is_described
from tests.schedules.samples import SAMPLES, read
from tests.trials.test_stacked import check_trials, read_setup, trials

STEPS, EPOCHS, LR = 7, 10, 0.3
STEP: Settings = {"type": "step", "step_size": 1}
EXPONENTIAL: Settings = {"type": "exponential", "gamma": 0.5}


EVERY_SAMPLE = pytest.mark.parametrize("settings", SAMPLES.values(), ids=list(SAMPLES))
EVERY_MEMBER = pytest.mark.parametrize("member", SCHEDULES, ids=type_of)


def schedule(**settings: Any) -> Schedule:
    return Schedule(read(settings), LR, STEPS, EPOCHS)


def rates(chosen: Schedule) -> list[float]:
    return [chosen.lr(step) for step in range(STEPS * EPOCHS)]


def optimizer(lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def follow(
    stepper: lr_scheduler.LRScheduler, sgd: torch.optim.Optimizer, *, every: int
) -> list[float]:
    """Return torch's rates, its scheduler moved on every so many steps."""
    found = []
    for step in range(STEPS * EPOCHS):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if (step + 1) % every == 0 and step + 1 < STEPS * EPOCHS:
            stepper.step()
    return found


def test_constant_stays() -> None:
    assert rates(schedule(type="constant")) == [LR] * 70


def test_step_is_torchs() -> None:
    sgd = optimizer()
    expected = follow(lr_scheduler.StepLR(sgd, 3, 0.5), sgd, every=STEPS)
    assert rates(schedule(type="step", step_size=3, gamma=0.5)) == pytest.approx(expected)


def test_exponential_is_torchs() -> None:
    sgd = optimizer()
    expected = follow(lr_scheduler.ExponentialLR(sgd, 0.8), sgd, every=STEPS)
    assert rates(schedule(type="exponential", gamma=0.8)) == pytest.approx(expected)


def test_cosine_is_torchs_over_all_steps() -> None:
    sgd = optimizer()
    stepper = lr_scheduler.CosineAnnealingLR(sgd, STEPS * EPOCHS, 0.01)
    expected = follow(stepper, sgd, every=1)
    assert rates(schedule(type="cosine", eta_min=0.01)) == pytest.approx(expected)


def test_one_cycle_is_torchs() -> None:
    sgd = optimizer()
    stepper = lr_scheduler.OneCycleLR(
        sgd, LR, total_steps=STEPS * EPOCHS, pct_start=0.3, div_factor=10, cycle_momentum=False
    )
    expected = follow(stepper, sgd, every=1)
    assert rates(schedule(type="one_cycle", div_factor=10)) == pytest.approx(expected)


def test_reduce_on_plateau_is_torchs() -> None:
    losses = [5.0, 4.0, 4.1, 3.9999, 4.2, 3.0, 3.1, 3.2, 3.3, 3.4, 2.0, 2.5, 2.6, 2.7]
    sgd = optimizer()
    stepper = lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=1, cooldown=1, min_lr=0.04)
    ours = schedule(type="reduce_on_plateau", factor=0.5, patience=1, cooldown=1, min_lr=0.04)
    for loss in losses:
        ours.observe(loss)
        stepper.step(loss)
        assert ours.lr(0) == pytest.approx(sgd.param_groups[0]["lr"])


@EVERY_SAMPLE
def test_it_can_warm_up(settings: Settings) -> None:
    warm, cold = schedule(**settings, warmup_epochs=1.5), schedule(**settings)
    steps = round(1.5 * STEPS)
    rising = [warm.lr(step) for step in range(steps)]
    assert rising == pytest.approx([LR * (step + 1) / (steps + 1) for step in range(steps)])
    assert warm.lr(steps) == pytest.approx(cold.lr(0))


@EVERY_SAMPLE
@pytest.mark.parametrize("warmup_epochs", [0, 0.5, 1, 1.5, 2])
def test_the_rates_of_an_epoch_are_those_of_its_steps(
    settings: Settings, warmup_epochs: float
) -> None:
    chosen = schedule(**settings, warmup_epochs=warmup_epochs)
    for start in range(0, STEPS * EPOCHS, STEPS):
        expected = [chosen.lr(step) for step in range(start, start + STEPS)]
        found = chosen.epoch_lrs(start)
        assert (found * STEPS if len(found) == 1 else found) == expected


def test_cosine_ends_at_its_minimum_after_a_warm_up() -> None:
    warm = schedule(type="cosine", eta_min=0.02, warmup_epochs=2)
    assert warm.lr(STEPS * EPOCHS) == pytest.approx(0.02)


def observed(chosen: Schedule, losses: list[float]) -> Schedule:
    for loss in losses:
        chosen.observe(loss)
    return chosen


@EVERY_SAMPLE
def test_rates_are_positive_and_never_above_the_optimizers(settings: Settings) -> None:
    assert all(0 < rate <= LR * (1 + 1e-12) for rate in rates(schedule(**settings)))


@EVERY_SAMPLE
def test_what_it_says_of_its_rates_is_true(settings: Settings) -> None:
    config, found = read(settings), rates(schedule(**settings))
    longer = Schedule(config, LR, STEPS, 2 * EPOCHS)
    assert config.spreads_over_epochs == (found != rates(longer)[: STEPS * EPOCHS])
    epochs = [set(found[start : start + STEPS]) for start in range(0, STEPS * EPOCHS, STEPS)]
    assert config.is_constant_within_epoch == all(len(epoch) == 1 for epoch in epochs)
    changed = rates(observed(schedule(**settings), [1.0] * 30))
    assert config.needs_validation == (changed != found)
    assert config.is_constant == (len({*found, *changed}) == 1)


@EVERY_SAMPLE
def test_with_its_own_rates_it_scales_as_the_learning_rate_does(settings: Settings) -> None:
    own = {name: 0.5 * rate for name, rate in read(settings).rates().items()}
    half = Schedule(read({**settings, **own}), 0.5 * LR, STEPS, EPOCHS)
    for losses in ([], [1.0] * 30):
        whole = rates(observed(schedule(**settings), losses))
        assert rates(observed(half, losses)) == pytest.approx([0.5 * rate for rate in whole])


@EVERY_SAMPLE
def test_it_goes_on_from_its_state(settings: Settings) -> None:
    losses = [3.0, 2.0, 2.5, 2.6, 1.0, 1.5, 1.6, 1.7, 1.8, 1.9]
    straight, after = schedule(**settings), schedule(**settings)
    for done in range(len(losses)):
        after.state = observed(schedule(**settings), losses[:done]).state
        assert rates(after) == rates(straight)
        straight.observe(losses[done])


@EVERY_SAMPLE
def test_settings_are_unused_only_where_they_change_no_rate(settings: Settings) -> None:
    config = read(settings)
    assert [*config.unused_settings(lr=LR, num_epochs=EPOCHS + 1)] == []
    for name, _ in config.unused_settings(lr=LR, num_epochs=1):
        assert name in settings or name in type(config).model_fields
        one_epoch = Schedule(config, LR, STEPS, 1)
        found = [one_epoch.lr(step) for step in range(STEPS)]
        assert found == [LR] * STEPS


@EVERY_MEMBER
def test_the_schema_and_the_reference_page_describe_it(member: type[ScheduleConfig]) -> None:
    check_is_described(member, "schedule")


@EVERY_MEMBER
def test_a_wrong_setting_is_told(
    member: type[ScheduleConfig], load: Callable[..., LoadedConfig]
) -> None:
    sample = next(own for own in SAMPLES.values() if own["type"] == type_of(member))
    wrong = {**sample, "warmup_epochs": -1, "warm_up_epochs": math.pi}
    with pytest.raises(ConfigError) as caught:
        load("table.csv", "y", schedule=wrong)
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("schedule.warmup_epochs", "must be at least 0, not -1"),
        ("schedule.warm_up_epochs", "unknown key; did you mean 'warmup_epochs'?"),
    ]


@pytest.mark.parametrize(
    "settings",
    [own for own in SAMPLES.values() if not [*read(own).unused_settings(lr=0.1, num_epochs=4)]],
    ids=str,
)
def test_stacked_runs_follow_it_as_single_ones_do(settings: Settings) -> None:
    check_stacked_runs_follow(settings)


@pytest.mark.parametrize("settings", [STEP, EXPONENTIAL], ids=str)
def test_stacked_runs_follow_rates_that_change_within_an_epoch(settings: Settings) -> None:
    check_stacked_runs_follow({**settings, "warmup_epochs": 0.5})


def check_stacked_runs_follow(settings: Settings) -> None:
    spec = "{" + ", ".join(f"{key}: {value}" for key, value in settings.items()) + "}"
    changes = (f"schedule={spec}", "training.epochs=4", "optimizer.lr=0.1")
    setup = read_setup("moons.yaml", *changes)
    check_trials(trials(setup, [{"type": "sgd", "momentum": 0.9}]))
