"""Runs of a comparison: together, alone or over processes, each is what it would be alone."""

import multiprocessing
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from dlcli.config import load_config
from dlcli.config.objectives import Loss
from dlcli.config.optimizers import Constant
from dlcli.config.optimizers import Optimizer as OptimizerConfig
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.target import FittedTarget
from dlcli.errors import OutOfMemoryError
from dlcli.network.plan import Plan
from dlcli.runs.comparison.shared_setup import build_shared_setup
from dlcli.runs.preparation import prepare
from dlcli.training.losses import build_objective
from dlcli.training.rows.batches import Rows
from dlcli.trials.running import workers
from dlcli.trials.running.execution import plan_execution
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked import run_stacked
from dlcli.trials.running.workers import Job, do_all
from dlcli.trials.trial import FinishedTrial, RunSpec, SharedSetup, assemble_trial
from tests.conftest import ROOT
from tests.network.test_network import DENSE, EVERY_LAYER, name, plan
from tests.training.test_engines import CPU, EVERY_LOSS, PAIR, SIZES, targets

EVERY_OPTIMIZER: list[dict[str, Any]] = [
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9, "dampening": 0.1},
    {"type": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"type": "adam"},
    {"type": "adam", "amsgrad": True, "weight_decay": 0.1},
    {"type": "adamw"},
    {"type": "adadelta", "weight_decay": 0.1},
    {"type": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    {"type": "rmsprop"},
    {"type": "rmsprop", "momentum": 0.5, "centered": True},
    {"type": "nadam"},
    {"type": "radam"},
    {"type": "adamax"},
]
HIDDEN = {"type": "dense", "units": 6, "activation": "tanh"}
DROPOUT = {"type": "dropout", "rate": 0.3}


def specs(
    optimizers: Sequence[dict[str, Any]], lrs: Sequence[float] = (0.01, 0.001)
) -> list[RunSpec]:
    read = TypeAdapter[OptimizerConfig](OptimizerConfig).validate_python
    return [
        RunSpec(read({**own, "lr": lr}), seed)
        for own in optimizers
        for lr in lrs
        for seed in (3, 5)
    ]


def made_problem(planned: Plan, loss: dict[str, Any], target: FittedTarget) -> SharedSetup:
    rows = Rows(torch.zeros(8, planned.signature.num_inputs), targets(target, 8))
    return SharedSetup(
        plan=planned,
        loss=TypeAdapter[Loss](Loss).validate_python(loss),
        schedule=Constant(type="constant"),
        settings=TrainingConfig(gradient_clip_norm=0.5),
        target=target,
        placement=CPU,
        train=rows,
        validation=rows,
    )


def check_steps(
    planned: Plan,
    runs: Sequence[RunSpec],
    loss: dict[str, Any] | None = None,
    target: FittedTarget = PAIR,
) -> None:
    """Take the same steps in a stack and alone: single, short and accumulated batches."""
    problem = made_problem(planned, loss or {"type": "cross_entropy"}, target)
    objective = build_objective(problem.loss, target, CPU.device)
    stack = Stack.of(runs, planned, objective, CPU, problem.settings.gradient_clip_norm)
    width, generator = planned.signature.num_inputs, torch.Generator().manual_seed(0)
    figures, data = [], []
    for index, sizes in enumerate(SIZES):
        batches = tuple(
            Rows(
                torch.randn(len(stack.seeds), size, width, generator=generator),
                torch.stack([targets(target, size) for _ in stack.seeds]),
            )
            for size in sizes
        )
        data.append(batches)
        lrs = torch.tensor([own.optimizer.lr * 0.9**index for own in stack.specs])
        figures.append(stack.take_step(batches, lrs))
    for run, own in enumerate(stack.specs):
        trainer = assemble_trial(problem, own)
        trainer.network.train()
        seed = stack.seeds.index(own.seed)
        for index, batches in enumerate(data):
            trainer.optimizer.lr = own.optimizer.lr * 0.9**index
            alone = trainer.stepper.take_step(
                tuple(Rows(batch.features[seed], batch.targets[seed]) for batch in batches)
            )
            norm = torch.linalg.vector_norm(alone[1:])
            assert are_close(torch.stack([alone[0], norm]), figures[index][run])
        network = stack.network
        weights = network.state_dict(run, network.parameters.values, network.buffers)
        assert weights.keys() == trainer.network.state_dict().keys()
        for key, weight in trainer.network.state_dict().items():
            assert are_close(weight, weights[key]), key


def are_close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer", EVERY_OPTIMIZER, ids=lambda own: "-".join(map(str, own.values()))
)
def test_every_optimizer(optimizer: dict[str, Any]) -> None:
    check_steps(plan((5,), HIDDEN, DROPOUT, HIDDEN, DENSE), specs([optimizer]))


def test_all_optimizers_at_once() -> None:
    check_steps(plan((5,), HIDDEN, DROPOUT, DENSE), specs(EVERY_OPTIMIZER)[::-1])


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_every_layer(shape: tuple[int, ...], spec: dict[str, Any]) -> None:
    planned = plan(shape, spec, DROPOUT, {"type": "flatten"}, DENSE)
    check_steps(planned, specs([{"type": "sgd"}, {"type": "adam"}]))


@pytest.mark.parametrize(("loss", "target"), EVERY_LOSS)
def test_every_loss(loss: dict[str, Any], target: FittedTarget) -> None:
    check_steps(plan((5,), HIDDEN, DENSE), specs([{"type": "sgd"}]), loss, target)


def read_problem(config: str, *settings: str) -> SharedSetup:
    return build_shared_setup(prepare(load_config(ROOT / "configs" / config, list(settings))), CPU)


def check_runs(problem: SharedSetup, runs: Sequence[RunSpec]) -> dict[str, int]:
    """Do whole runs both ways; return how many ended how."""
    alone = {outcome.spec: outcome for outcome in over(run_sequentially(problem, runs))}
    together = over(run_stacked(problem, runs))
    assert {outcome.spec for outcome in together} == set(runs)
    for outcome in together:
        check_alike(outcome, alone[outcome.spec])
    ends = [outcome.end for outcome in together]
    return {end: ends.count(end) for end in ends}


def over(events: Any) -> list[FinishedTrial]:
    return [event for event in events if isinstance(event, FinishedTrial)]


def check_alike(one: FinishedTrial, other: FinishedTrial) -> None:
    assert (one.end, one.num_steps, one.best_epoch) == (
        other.end,
        other.num_steps,
        other.best_epoch,
    )
    assert [point.epoch for point in one.curve] == [point.epoch for point in other.curve]
    for point, same in zip(one.curve, other.curve, strict=True):
        assert point.train_loss == pytest.approx(same.train_loss, rel=1e-4)
        assert point.validation_loss == pytest.approx(same.validation_loss, rel=1e-4)
    assert one.weights.keys() == other.weights.keys()
    for key, weight in one.weights.items():
        assert are_close(weight, other.weights[key]), key


RULES = [EVERY_OPTIMIZER[index] for index in (0, 1, 3, 8)]


def test_each_run_stops_early_by_itself() -> None:
    problem = read_problem(
        "penguins.yaml",
        "training.epochs=15",
        "training.early_stopping={patience: 4, metric: accuracy}",
        "schedule={type: cosine, warmup_epochs: 1.5}",
        "training.accumulate_batches=2",
    )
    ends = check_runs(problem, specs(RULES, (0.05, 0.005, 0.0005)))
    assert ends["early_stopping"] >= 3
    assert ends["epochs"] >= 3


def test_each_run_has_a_plateau_of_its_own() -> None:
    problem = read_problem(
        "diabetes.yaml", "training.epochs=8", "schedule={type: reduce_on_plateau, patience: 0}"
    )
    check_runs(problem, specs(RULES))


def test_a_run_that_diverges_touches_no_other() -> None:
    problem = read_problem("diabetes.yaml", "training.epochs=6", "training.batch_size=full")
    runs = specs([{"type": "sgd"}], (0.01, 1e6, 0.001, 1e20))
    assert check_runs(problem, runs) == {"diverged": 4, "epochs": 4}


def test_processes_bring_the_same_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, runs = read_problem("penguins.yaml", "training.epochs=2"), specs(RULES)
    jobs = [Job(tuple(runs[:4]), True), Job(tuple(runs[4:12]), True), Job(tuple(runs[12:]), False)]
    here = {outcome.spec: outcome for outcome in over(do_all(problem, jobs, 1))}
    for is_forked in (True, False):
        monkeypatch.setattr(workers, "IS_FORKED", is_forked)
        there = over(do_all(problem, jobs, 2))
        assert {outcome.spec for outcome in there} == set(here) == set(runs)
        for outcome in there:
            same = here[outcome.spec]
            assert (outcome.curve, outcome.end) == (same.curve, same.end)
            assert all(torch.equal(same.weights[key], own) for key, own in outcome.weights.items())


def test_a_process_that_the_system_ends_is_told() -> None:
    problem = read_problem("penguins.yaml", "training.epochs=2000")
    events = do_all(problem, [Job((run,), False) for run in specs(RULES[:1])], 2)
    next(events)
    first, second = multiprocessing.active_children()
    first.kill()
    with pytest.raises(OutOfMemoryError, match=r"ended by the system \(exit code -9\)"):
        list(events)
    assert not second.is_alive()


def test_processes_end_with_who_asked() -> None:
    problem = read_problem("penguins.yaml", "training.epochs=2000")
    events = do_all(problem, [Job((run,), False) for run in specs(RULES[:1])], 2)
    next(events)
    assert len(multiprocessing.active_children()) == 2
    events.close()
    assert multiprocessing.active_children() == []


def test_the_way_is_measured_and_said() -> None:
    runs = specs(RULES)
    way = plan_execution(read_problem("moons.yaml"), runs, 2)
    assert way.reason.startswith("together, 8 at once on 2 processes: a step of one takes 1/")
    assert [len(job.specs) for job in way.jobs] == [8, 8]
    assert {run for job in way.jobs for run in job.specs} == set(runs)
    half = plan_execution(read_problem("penguins.yaml"), runs[:1], 2)
    assert half.num_processes == 1
