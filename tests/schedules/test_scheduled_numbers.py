"""Dropout rates and weight decays that change with every step."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from dlcli.config import LoadedConfig
from dlcli.errors import ConfigError
from dlcli.layers.modules import RandomMask
from dlcli.training.loop import Progress, Trainer, fit
from dlcli.training.saving.state import capture, restore_state
from dlcli.trials.setup import SharedSetup, assemble_trial
from tests.conftest import ROOT, Command
from tests.schedules.test_schedules import PYTABKITS
from tests.trials.test_stacked import check_trials, read_setup, trials

RATE = "{type: flat_cosine, start: 0.5}"
DECAY = {"type": "coslog", "peak": 0.4, "cycles": 2}
OPTIMIZER = {"type": "adamw", "weight_decay": DECAY}
CHANGES = (
    f"model.layers=[{{type: dense, units: 8}}, {{type: dropout, rate: {RATE}}}, {{type: dense}}]",
    *("training.epochs=4", "training.batch_size=150", "training.early_stopping=null"),
)


def setup(*changes: str) -> SharedSetup:
    return read_setup("moons.yaml", *CHANGES, *changes)


def trainer_of(shared: SharedSetup) -> Trainer:
    return assemble_trial(trials(shared, [OPTIMIZER])[0])


def steps(trainer: Trainer, shared: SharedSetup) -> Iterator[Progress]:
    return (e for e in fit(trainer, shared.train, shared.validation) if isinstance(e, Progress))


def weights(trainer: Trainer) -> torch.Tensor:
    return trainer.optimizer.values.clone()


def test_each_step_has_the_dropout_and_the_weight_decay_of_realmlps_schedules() -> None:
    (_, flat), (_, _), (_, coslog) = PYTABKITS
    shared = setup("training.epochs=5", "training.batch_size=full")
    trainer = trainer_of(shared)
    mask = next(one for one in trainer.network.modules() if isinstance(one, RandomMask))
    found = [(mask.rate, trainer.optimizer.weight_decay) for _ in steps(trainer, shared)]
    assert [rate for rate, _ in found] == pytest.approx([0.5 * factor for factor in flat])
    assert [decay for _, decay in found] == pytest.approx(
        [0.4 * factor for factor in coslog], abs=1e-9
    )


def test_a_mask_drops_the_share_that_it_was_set_to_last() -> None:
    mask = RandomMask(0.5)
    for rate in (0.5, 0.2, 0.0):
        mask.set_rate(rate)
        kept = mask(torch.ones(50_000))
        assert (kept == 0).float().mean() == pytest.approx(rate, abs=0.02)
        assert kept.mean() == pytest.approx(1, abs=0.02)


def test_a_recorded_step_takes_the_numbers_that_an_eager_one_takes() -> None:
    results = []
    for engine in ("eager", "captured"):
        shared = setup(f"training.engine={engine}")
        trainer = trainer_of(shared)
        assert len(list(steps(trainer, shared))) == 4 * 4
        assert len(trainer.stepper.recordings) == (engine == "captured")
        results.append(weights(trainer))
    assert torch.equal(*results)


def test_a_run_goes_on_in_the_middle_to_the_same_bits() -> None:
    shared = setup()
    straight, first = trainer_of(shared), trainer_of(shared)
    second = trainer_of(shared)
    torch.manual_seed(0)
    list(steps(straight, shared))
    torch.manual_seed(0)
    under_way = steps(first, shared)
    for _ in range(9):
        next(under_way)
    restore_state(second, capture(first))
    list(steps(second, shared))
    assert torch.equal(weights(second), weights(straight))


def test_stacked_runs_follow_it_as_single_ones_do() -> None:
    check_trials(trials(setup(), [OPTIMIZER]))


def test_more_epochs_are_other_numbers_and_refused_for_a_run_that_is_resumed(
    dlcli: Command,
) -> None:
    options = ["train", ROOT / "configs" / "moons.yaml", "--run-dir", "r", "--set", "report=false"]
    options += [item for change in CHANGES for item in ("--set", change)]
    assert dlcli(*options, "--set", "training.epochs=1").code == 0
    outcome = dlcli(*options, "--resume")
    assert outcome.code == 2
    assert "1 then, 4 now; model.layers[1].rate depends on the number of epochs" in outcome.err


def test_describe_says_how_they_begin_and_end(dlcli: Command) -> None:
    options = [item for change in CHANGES for item in ("--set", change)]
    outcome = dlcli("describe", ROOT / "configs" / "moons.yaml", "--schedule", *options)
    assert outcome.code == 0
    line = "model.layers[1].rate: flat_cosine, at most 0.5: 0.5 at the first step, 0.0190301 at the"
    assert line in outcome.out


@pytest.mark.parametrize(
    ("rate", "path", "message"),
    [
        ({"type": "coslog", "peak": 1.0}, "", "must stay below 1, and rises to 1"),
        ({"type": "flat_cosine", "start": -0.1}, ".start", "must be at least 0, not -0.1"),
        ({"type": "flat_cosine"}, ".start", "is required"),
        ({"type": "cosine"}, "", "unknown type 'cosine'; did you mean 'flat_cosine'?"),
        (1.0, "", "must be below 1, not 1.0"),
        ("high", "", "must be a number, not 'high'"),
    ],
)
def test_a_wrong_rate_is_told(
    rate: Any, path: str, message: str, load: Callable[..., LoadedConfig]
) -> None:
    layers = [{"type": "dropout", "rate": rate}, {"type": "dense"}]
    with pytest.raises(ConfigError) as caught:
        load("table.csv", "y", model={"layers": layers})
    problem = caught.value.problems[0]
    assert problem.path == f"model.layers[0].rate{path}"
    assert problem.message.startswith(message)
