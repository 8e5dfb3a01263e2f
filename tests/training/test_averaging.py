"""The moving average of the weights: torch's, judged, saved, predicted with, and resumed."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlcli.training.loop import Progress, Trainer, fit
from dlcli.trials.setup import SharedSetup, assemble_trial
from tests.conftest import ROOT, Command
from tests.trials.test_stacked import check_trials, read_setup, trials

CHANGES = (
    "model.layers=[{type: dense, units: 8}, {type: batch_norm}, {type: dense}]",
    *("training.epochs=3", "training.batch_size=150", "training.early_stopping=null"),
)
EMA = "training.ema={decay: 0.8}"
ADAM = {"type": "adam"}


def setup(*changes: str) -> SharedSetup:
    return read_setup("moons.yaml", *CHANGES, *changes)


def trainer_of(shared: SharedSetup) -> Trainer:
    return assemble_trial(trials(shared, [ADAM])[0])


def finish(trainer: Trainer, shared: SharedSetup) -> Trainer:
    list(fit(trainer, shared.train, shared.validation))
    return trainer


@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_the_average_is_torchs_with_its_buffers(engine: str) -> None:
    shared = setup(EMA, f"training.engine={engine}")
    trainer = trainer_of(shared)
    model = deepcopy(trainer.network)
    mean = get_ema_multi_avg_fn(0.8)  # type: ignore[no-untyped-call]
    theirs = AveragedModel(model, multi_avg_fn=mean, use_buffers=True)
    for event in fit(trainer, shared.train, None):
        if isinstance(event, Progress):
            theirs.update_parameters(trainer.network)
    assert trainer.best is not None
    expected = theirs.module.state_dict()
    for name, tensor in trainer.best.weights.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, expected[name], rtol=1e-6, atol=1e-7), name
        else:
            assert torch.equal(tensor, trainer.network.state_dict()[name])


def test_training_goes_on_with_the_weights_as_they_are() -> None:
    plain, averaged = (finish(trainer_of(one), one) for one in (setup(), setup(EMA)))
    assert torch.equal(plain.optimizer.values, averaged.optimizer.values)
    assert plain.best is not None
    assert averaged.best is not None
    assert not torch.equal(
        plain.best.weights["0_dense.weight"], averaged.best.weights["0_dense.weight"]
    )


def test_stacked_runs_have_the_averages_of_single_ones() -> None:
    check_trials(trials(setup(EMA), [{"type": "sgd", "momentum": 0.9}]))


def test_the_average_is_what_is_judged_saved_and_predicted_with(dlcli: Command) -> None:
    changes = [item for change in (*CHANGES, EMA, "report=false") for item in ("--set", change)]
    outcome = dlcli("train", ROOT / "configs" / "moons.yaml", "--run-dir", "r", *changes)
    assert outcome.code == 0, outcome.err
    assert "weights averaged with decay 0.8: the average is judged, saved and" in outcome.out
    epochs = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    judged = json.loads(dlcli("evaluate", "r/last.safetensors", "--json").out)["validation"]
    assert judged["loss"] == pytest.approx(epochs[-1]["validation"]["loss"], rel=1e-6)
    losses = [epoch["validation"]["loss"] for epoch in epochs]
    best = json.loads(Path("r/summary.json").read_text())["validation"]["loss"]
    assert best == pytest.approx(min(losses), rel=1e-6)
