"""What holds for every schedule: its rates, its state, and what it says about itself."""

import math
from collections.abc import Callable
from itertools import product
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


def schedule(epochs: int = EPOCHS, steps: int = STEPS, **settings: Any) -> Schedule:
    return Schedule(read(settings), LR, steps, epochs)


def rates(chosen: Schedule) -> list[float]:
    return [chosen.lr(step) for step in range(chosen.num_steps)]


def optimizer(lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def follow(
    stepper: lr_scheduler.LRScheduler,
    sgd: torch.optim.Optimizer,
    *,
    every: int,
    num_steps: int = STEPS * EPOCHS,
) -> list[float]:
    """Return torch's rates, its scheduler moved on every so many steps."""
    found = []
    for step in range(num_steps):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if (step + 1) % every == 0 and step + 1 < num_steps:
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


@pytest.mark.parametrize("warmup_epochs", [0, 0.5, 2])
def test_cosine_is_torchs_from_the_first_step_after_the_warm_up_to_the_last(
    warmup_epochs: float,
) -> None:
    sgd = optimizer()
    warmup = round(warmup_epochs * STEPS)
    num_steps = STEPS * EPOCHS - warmup
    stepper = lr_scheduler.CosineAnnealingLR(sgd, num_steps - 1, 0.01)
    expected = follow(stepper, sgd, every=1, num_steps=num_steps)
    found = rates(schedule(type="cosine", eta_min=0.01, warmup_epochs=warmup_epochs))
    assert found[warmup:] == pytest.approx(expected)


# By hand: 0.3 to 0 in five steps is 0.3 × (1 + cos(k/4 × 180°)) / 2; after a warm-up of an epoch of
# two steps, 0.1 and 0.2, the same in four.
HALF = math.sqrt(0.5)
BY_HAND: list[tuple[Settings, int, int, list[float]]] = [
    ({"type": "cosine"}, 5, 1, [0.3, 0.15 * (1 + HALF), 0.15, 0.15 * (1 - HALF), 0]),
    ({"type": "cosine", "warmup_epochs": 1}, 3, 2, [0.1, 0.2, 0.3, 0.225, 0.075, 0]),
    ({"type": "cosine", "eta_min": 0.1}, 2, 1, [0.3, 0.1]),
    ({"type": "cosine"}, 1, 1, [0.3]),
    ({"type": "one_cycle", "div_factor": 3, "final_div_factor": 10}, 3, 1, [0.1, 0.3, 0.01]),
    ({"type": "one_cycle", "pct_start": 0.95, "final_div_factor": 3}, 3, 2, [*range(5), 0.004]),
    ({"type": "flat_cosine", "flat": 0.0}, 2, 2, [0.3, 0.15 * (1 + HALF), 0.15, 0.15 * (1 - HALF)]),
    ({"type": "step", "step_size": 1, "warmup_epochs": 0.5}, 2, 2, [0.15, 0.3, 0.3, 0.03]),
    ({"type": "exponential", "gamma": 0.5}, 3, 1, [0.3, 0.15, 0.075]),
]


@pytest.mark.parametrize(("settings", "epochs", "steps", "expected"), BY_HAND, ids=str)
def test_rates_are_those_found_by_hand(
    settings: Settings, epochs: int, steps: int, expected: list[float]
) -> None:
    found = rates(schedule(epochs, steps, **settings))
    if settings.get("pct_start"):  # that many steps up leave less than one for the way down
        found, expected = found[-1:], expected[-1:]
    assert found == pytest.approx(expected, abs=1e-15)


# get_schedule(NAME).call_time_(step / N) for step in range(N), of pytabkit 1.7.0's
# models/training/scheduling.py, with NAME flat_cos, coslog4 and coslog2.
PYTABKITS: list[tuple[Settings, list[float]]] = [
    ({"type": "flat_cosine"}, [1, 1, 1, 0.9045084972, 0.3454915028]),
    ({"type": "coslog"}, [0, 0.7183546885, 0, 0.9838444269, 0.3236890042, 0.0736189342,
                          0.7183546885, 0.9945307336, 0.6531941052, 0.1862008001]),
    ({"type": "coslog", "cycles": 2}, [0, 0.7183546885, 0.1752843938, 0.9979053835, 0.4512736125]),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "factors"), PYTABKITS, ids=str)
@pytest.mark.parametrize("warmup_epochs", [0, 2])
def test_realmlps_schedules_are_pytabkits_after_the_warm_up(
    settings: Settings, factors: list[float], warmup_epochs: int
) -> None:
    run = schedule(len(factors) + warmup_epochs, 1, **settings, warmup_epochs=warmup_epochs)
    expected = [LR * factor for factor in factors]
    assert rates(run)[warmup_epochs:] == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("pct_start", [0.1, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("warmup_epochs", [0, 1.5])
def test_what_spreads_over_the_run_reaches_its_end_at_the_last_step(
    pct_start: float, warmup_epochs: float
) -> None:
    cosine: Settings = {"type": "cosine", "eta_min": 0.02}
    one_cycle: Settings = {"type": "one_cycle", "pct_start": pct_start}
    for settings, last in ((cosine, 0.02), (one_cycle, LR / 25 / 1e4)):
        found = rates(schedule(**settings, warmup_epochs=warmup_epochs))
        assert found[-1] == pytest.approx(last)
        assert all(rate > last * (1 + 1e-9) for rate in found[:-1])


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
        ours.observe(1, loss)
        stepper.step(loss)
        assert ours.lr(0) == pytest.approx(sgd.param_groups[0]["lr"])


@pytest.mark.parametrize(("warmup_epochs", "first"), [(0, 1), (0.4, 2), (3, 4), (3.1, 5)])
def test_a_plateau_is_torchs_begun_with_the_first_whole_epoch_after_the_warm_up(
    warmup_epochs: float, first: int
) -> None:
    losses = [0.1, 9.0, 8.0, 7.0, 6.0, 6.5, 6.6, 6.7, 5.0, 5.5, 5.6, 5.7, 5.8]
    sgd = optimizer()
    stepper = lr_scheduler.ReduceLROnPlateau(sgd, patience=1)
    ours = schedule(20, type="reduce_on_plateau", patience=1, warmup_epochs=warmup_epochs)
    for epoch, loss in enumerate(losses, 1):
        ours.observe(epoch, loss)
        if epoch >= first:
            stepper.step(loss)
        next_step = max(epoch * STEPS, ours.num_warmup_steps)
        assert ours.lr(next_step) == pytest.approx(sgd.param_groups[0]["lr"]), epoch


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


def observed(chosen: Schedule, losses: list[float]) -> Schedule:
    for epoch, loss in enumerate(losses, 1):
        chosen.observe(epoch, loss)
    return chosen


@EVERY_SAMPLE
def test_rates_are_positive_and_never_above_the_optimizers(settings: Settings) -> None:
    *found, last = rates(schedule(**settings))
    if settings["type"] == "coslog":  # where a cycle begins, its rate is 0
        assert found[0] == 0
        found = [rate for rate in found if rate]
    assert all(0 < rate <= LR * (1 + 1e-12) for rate in found)
    assert last >= settings.get("eta_min", 0)  # cosine's last step may have a rate of 0


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
        straight.observe(done + 1, losses[done])


def unused(settings: Settings, epochs: int) -> list[str]:
    run = schedule(epochs, **settings)
    return [name for name, _ in run.config.unused_settings(run.length)]


def reachable_rates(run: Schedule) -> set[float]:
    """Return the rates after the warm-up, with all reductions that losses can bring."""
    found = set()
    for step in range(run.num_steps):
        if step and step % run.steps_per_epoch == 0:
            run.observe(step // run.steps_per_epoch, 1.0)
        if step >= run.num_warmup_steps:
            found.add(run.lr(step))
    return found


@EVERY_SAMPLE
@pytest.mark.parametrize("warmup_epochs", [0, 0.5, 2])
def test_a_schedule_is_unused_just_where_it_changes_no_rate(
    settings: Settings, warmup_epochs: float
) -> None:
    settings = {key: value for key, value in settings.items() if key != "cooldown"}
    num_needed = 3 if settings["type"] == "one_cycle" else 2  # one_cycle goes up and down
    for steps, epochs in product((1, 2, 3), (3, 4, 5, 12, 13, 14, 15)):
        run = schedule(epochs, steps, **settings, warmup_epochs=warmup_epochs)
        acts = run.config.is_constant or len(reachable_rates(run)) >= num_needed
        names = [name for name, _ in run.config.unused_settings(run.length)]
        assert (not names) == acts, (steps, epochs, names)


@pytest.mark.parametrize(("cooldown", "same_until"), [(1, 7), (5, 7)])
def test_a_cooldown_is_unused_just_where_there_is_no_second_reduction(
    cooldown: int, same_until: int
) -> None:
    for epochs in range(5, 12):
        settings: Settings = {"type": "reduce_on_plateau", "patience": 2}
        run = schedule(epochs, **settings, cooldown=cooldown)
        is_unused = "cooldown" in [name for name, _ in run.config.unused_settings(run.length)]
        assert is_unused == (epochs <= same_until)
        without = reachable_rates(schedule(epochs, **settings))
        assert not is_unused or reachable_rates(run) == without, epochs


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
    [own for own in SAMPLES.values() if not unused(own, epochs=4)],
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
