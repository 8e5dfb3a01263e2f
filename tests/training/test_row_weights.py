"""Rows with weights: a step, and figures, are those of rows that are repeated so many times."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
import torch

from dlcli.config.sections.training import TrainingConfig
from dlcli.data.signature import WEIGHT
from dlcli.network.plan import Plan
from dlcli.optimizers.sgd import Sgd
from dlcli.schedules.constant import Constant
from dlcli.targets.base import Target
from dlcli.training.assembly import assemble
from dlcli.training.engines.threads import using_threads
from dlcli.training.epoch import EpochSoFar, PendingStep
from dlcli.training.evaluation import evaluate
from dlcli.training.loop import EpochResult, Trainer, fit
from dlcli.training.rows.batches import Rows, total_weight
from dlcli.training.saving.state import capture, restore_state
from dlcli.trials.running.stack import Stack
from dlcli.trials.setup import assemble_trial
from tests.layers.samples import DENSE, plan
from tests.losses.examples import CLASSES, EVERY_LOSS_AND_TASK, PAIR, loss_of
from tests.training.test_engines import CPU, made_rows
from tests.trials.test_stacked import are_close, made_setup, stacked, trials

HIDDEN = {"type": "dense", "units": 6, "activation": "tanh"}
COUNTS = torch.tensor([3, 1, 4, 1, 2, 2, 7, 1, 1])  # of some rows
FRACTIONS = torch.tensor([0.5, 1.25, 3e-3, 2.0, 1e4, 0.7, 9.0, 1.0, 1.0])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute such small steps on one thread: more of them wait for each other."""
    with using_threads(1):
        yield


def weighted(rows: Rows, weights: torch.Tensor) -> Rows:
    return Rows(rows.inputs, {**rows.targets, WEIGHT: weights.float()}, len(rows))


def repeated(rows: Rows, counts: torch.Tensor) -> Rows:
    return rows.take(torch.arange(len(rows)).repeat_interleave(counts))


def made(planned: Plan, target: Target, seed: int = 0) -> Rows:
    torch.manual_seed(seed)
    rows = made_rows(planned, target, len(COUNTS))
    if not target.class_names or target.has_labels:
        return rows
    classes = torch.arange(len(rows)) % len(target.class_names)
    return Rows(rows.inputs, {target.field: classes}, len(rows))


def trainer_of(
    planned: Plan, loss: dict[str, Any], target: Target = PAIR, **settings: Any
) -> Trainer:
    trainer = assemble(
        planned,
        loss=loss_of(loss),
        optimizer=Sgd(type="sgd", lr=0.1),
        schedule=Constant(type="constant"),
        settings=TrainingConfig.model_validate(settings),
        target=target,
        placement=CPU,
        seed=1,
        num_rows=len(COUNTS),
    )
    trainer.network.train()
    return trainer


def plan_for(loss: dict[str, Any], target: Target) -> Plan:
    outputs = loss_of(loss).num_outputs(len(target.score_names) or None)
    return plan((5,), HIDDEN, DENSE, outputs=outputs)


def step(trainer: Trainer, *batches: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the norms of a step, and its gradient."""
    figures = trainer.stepper.take_step(batches, number=0)
    return figures, trainer.optimizer.parameters.gradient.clone()


@pytest.mark.parametrize(("loss", "target"), EVERY_LOSS_AND_TASK)
def test_a_step_on_weighted_rows_is_one_on_repeated_rows(
    loss: dict[str, Any], target: Target
) -> None:
    planned = plan_for(loss, target)
    rows = made(planned, target)
    found = step(trainer_of(planned, loss, target), weighted(rows, COUNTS))
    wanted = step(trainer_of(planned, loss, target), repeated(rows, COUNTS))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    plain = step(trainer_of(planned, loss, target), rows)
    assert not torch.allclose(found[1], plain[1], rtol=1e-2)


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_accumulated_batches_and_shards_share_one_total_weight(shards: int) -> None:
    planned = plan_for({"type": "cross_entropy"}, CLASSES)
    rows = weighted(made(planned, CLASSES), FRACTIONS)
    whole = step(trainer_of(planned, {"type": "cross_entropy"}, CLASSES), rows)
    settings = {"shards": shards, "accumulate_batches": 2}
    trainer = trainer_of(planned, {"type": "cross_entropy"}, CLASSES, **settings)
    cut = step(trainer, rows.cut(0, 5), rows.cut(5, 9))
    for one, other in zip(cut, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_recording_has_the_weights_of_each_step(shards: int) -> None:
    planned = plan_for({"type": "cross_entropy"}, CLASSES)
    batches = [weighted(made(planned, CLASSES, seed), FRACTIONS.roll(seed)) for seed in range(4)]
    steps = [[one] for one in batches] + [[batches[3]], [batches[0], batches[1]]]
    engines = [
        trainer_of(planned, {"type": "cross_entropy"}, CLASSES, engine=engine, shards=shards)
        for engine in ("eager", "captured")
    ]
    for some in steps:
        eager, captured = (step(trainer, *some) for trainer in engines)
        assert all(map(torch.equal, eager, captured))


def test_the_scale_of_weights_changes_nothing() -> None:
    loss, target = {"type": "cross_entropy", "class_weights": {"b": 3.0}}, CLASSES
    planned = plan_for(loss, target)
    rows = made(planned, target)
    one, large, small = (
        step(trainer_of(planned, loss, target), weighted(rows, COUNTS * factor))[1]
        for factor in (1.0, 1e19, 1e-20)
    )
    torch.testing.assert_close(large, one, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(small, one, rtol=1e-4, atol=1e-6)


def in_blocks(rows: Rows) -> list[Rows]:
    return [rows.cut(0, 4), rows.cut(4, 9)]


@pytest.mark.parametrize(("loss", "target"), EVERY_LOSS_AND_TASK)
def test_figures_of_weighted_rows_are_those_of_repeated_rows(
    loss: dict[str, Any], target: Target
) -> None:
    planned = plan_for(loss, target)
    rows, trainer = made(planned, target), trainer_of(planned, loss, target)
    found, wanted = (
        evaluate(trainer.network, trainer.objective, some, target=target, placement=CPU)
        for some in (in_blocks(weighted(rows, COUNTS)), repeated(rows, COUNTS))
    )
    confusion = found.pop("confusion_matrix", None), wanted.pop("confusion_matrix", None)
    by_step = found.pop("by_step", {}), wanted.pop("by_step", {})
    for name, figures in by_step[0].items():
        for metric, values in figures.items():
            assert values == pytest.approx(by_step[1][name][metric], rel=1e-5)
    of_labels = wanted.pop("by_label", {})  # approx takes no figures within figures
    for label, figures in found.pop("by_label", {}).items():
        assert figures == pytest.approx(of_labels[label], rel=1e-5)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert confusion[0] == confusion[1]


def test_the_loss_of_an_epoch_is_the_mean_over_the_weight_of_its_rows() -> None:
    planned = plan_for({"type": "mse"}, CLASSES)
    rows = weighted(made(planned, CLASSES), FRACTIONS)
    epoch, trainer = EpochSoFar(), trainer_of(planned, {"type": "cross_entropy"})
    losses = [3.0, 5.0]
    for batch, loss in zip(in_blocks(rows), losses, strict=True):
        figures = torch.tensor([loss, 1.0])
        epoch.add(PendingStep(1, 0.1, len(batch), figures, total_weight([batch])))
    epoch.read(["w"], trainer.scaler)
    totals = [float(FRACTIONS[:4].sum()), float(FRACTIONS[4:].sum())]
    assert epoch.mean_loss == pytest.approx(np.average(losses, weights=totals), rel=1e-6)


def test_an_epoch_that_is_interrupted_has_the_same_loss() -> None:
    loss, planned = {"type": "cross_entropy"}, plan_for({"type": "cross_entropy"}, CLASSES)
    rows = weighted(made(planned, CLASSES), FRACTIONS)
    whole, first, second = (
        trainer_of(planned, loss, CLASSES, batch_size=2, epochs=1) for _ in range(3)
    )
    [*_, wanted] = fit(whole, rows, None)
    events = fit(first, rows, None)
    for _ in range(3):
        next(events)
    restore_state(second, capture(first))
    [*_, found] = fit(second, rows, None)
    assert isinstance(wanted, EpochResult)
    assert isinstance(found, EpochResult)
    assert found.train_loss == wanted.train_loss


@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_stacked_steps_are_single_ones(engine: Any) -> None:
    planned = plan((5,), HIDDEN, DENSE)
    loss = {"type": "cross_entropy", "class_weights": {"b": 3.0}}
    setup = made_setup(planned, loss, engine=engine)
    stack = Stack.of(trials(setup, [{"type": "sgd"}]))
    data = [
        tuple(
            stacked(
                [
                    weighted(made(planned, PAIR, seed + 9 * number), FRACTIONS.roll(seed + number))
                    for seed, _ in enumerate(stack.seeds)
                ]
            )
            for number in numbers
        )
        for numbers in ([0], [1], [2, 3])
    ]
    lrs = torch.tensor([trial.optimizer.lr for trial in stack.trials])
    figures = [stack.take_step(batches, lrs) for batches in data]
    for run, trial in enumerate(stack.trials):
        network, trainer = stack.network, assemble_trial(trial)
        seed = stack.seeds.index(trial.seed)
        trainer.network.train()
        for batches, found in zip(data, figures, strict=True):
            trainer.optimizer.lr = trial.optimizer.lr
            own = tuple(batch.each(itemgetter(seed)) for batch in batches)
            single = trainer.stepper.take_step(own, number=0)
            norm = torch.linalg.vector_norm(single[1:])
            assert are_close(torch.stack([single[0], norm]), found[run])
        weights = network.state_dict(run, network.parameters.values, network.buffers)
        for key, weight in trainer.network.state_dict().items():
            assert are_close(weight, weights[key]), key
