from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch.optim import lr_scheduler

from dlcli.config.optimizers import Schedule as ScheduleConfig
from dlcli.training.schedules import Schedule

STEPS, EPOCHS, LR = 7, 10, 0.3


def schedule(**spec: Any) -> Schedule:
    config: ScheduleConfig = TypeAdapter(ScheduleConfig).validate_python(spec)
    return Schedule(config, LR, STEPS, EPOCHS)


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


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "constant"},
        {"type": "step", "step_size": 2},
        {"type": "exponential", "gamma": 0.9},
        {"type": "cosine"},
        {"type": "one_cycle"},
        {"type": "reduce_on_plateau"},
    ],
    ids=lambda spec: spec["type"],
)
def test_each_schedule_can_warm_up(spec: dict[str, Any]) -> None:
    warm, cold = schedule(**spec, warmup_epochs=1.5), schedule(**spec)
    steps = round(1.5 * STEPS)
    rising = [warm.lr(step) for step in range(steps)]
    assert rising == pytest.approx([LR * (step + 1) / (steps + 1) for step in range(steps)])
    assert warm.lr(steps) == pytest.approx(cold.lr(0))


def test_cosine_ends_at_its_minimum_after_a_warm_up() -> None:
    warm = schedule(type="cosine", eta_min=0.02, warmup_epochs=2)
    assert warm.lr(STEPS * EPOCHS) == pytest.approx(0.02)
