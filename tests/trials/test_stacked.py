"""Trials stacked, sequential or over processes: each is what it would be by itself."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from operator import itemgetter
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from dlcli.config import load_config
from dlcli.config.sections.training import EngineName, LastBatch, TrainingConfig
from dlcli.errors import OutOfMemoryError
from dlcli.network import inputs
from dlcli.network.obstacles import has_dropout
from dlcli.network.plan import Plan
from dlcli.optimizers import AnyOptimizer
from dlcli.optimizers.base import OptimizerConfig
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import prepare
from dlcli.schedules.constant import Constant
from dlcli.targets.base import Target
from dlcli.training.device import Placement, choose_placement, configure_torch
from dlcli.training.rows.batches import Rows
from dlcli.training.rows.steps import epoch_steps
from dlcli.trials.comparing.protocol import optimizer_trial
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running import workers
from dlcli.trials.running.execution import obstacle_to_stacking, plan_execution
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked import run_stacked, trace_stacked
from dlcli.trials.running.stacked_rows import stacked_steps
from dlcli.trials.running.workers import Job, execute
from dlcli.trials.setup import ResolvedTrial, SharedSetup, assemble_trial
from tests.conftest import ROOT
from tests.layers.samples import (
    DENSE,
    JOINS,
    MEMBERS,
    SHARES,
    STACKABLE,
    name,
    plan,
    plan_embedded,
    plan_inputs,
    plan_members,
)
from tests.losses.examples import EVERY_LOSS, PAIR, loss_of
from tests.optimizers.samples import SAMPLES
from tests.training.test_engines import CPU, SIZES, made_rows

HIDDEN = {"type": "dense", "units": 6, "activation": "tanh"}
DROPOUT = {"type": "dropout", "rate": 0.3}


def trials(
    setup: SharedSetup,
    optimizers: Sequence[dict[str, Any]],
    lrs: Sequence[float] = (0.01, 0.001),
) -> list[ResolvedTrial]:
    read = TypeAdapter[OptimizerConfig](AnyOptimizer).validate_python
    return [
        ResolvedTrial(optimizer_trial(optimizer, seed), setup, optimizer)
        for optimizer in (read({**settings, "lr": lr}) for settings in optimizers for lr in lrs)
        for seed in (3, 5)
    ]


def made_setup(
    planned: Plan,
    loss: dict[str, Any],
    target: Target = PAIR,
    placement: Placement = CPU,
    engine: EngineName = "auto",
) -> SharedSetup:
    rows = on(placement, made_rows(planned, target, 8))
    return SharedSetup(
        plan=planned,
        loss=loss_of(loss),
        schedule=Constant(type="constant"),
        settings=TrainingConfig(gradient_clip_norm=0.5, engine=engine),
        target=target,
        placement=placement,
        train=rows,
        validation=rows,
        test=None,
    )


def on(placement: Placement, rows: Rows) -> Rows:
    return rows.each(lambda tensor: tensor.to(placement.device))


def eager(setup: SharedSetup) -> SharedSetup:
    return replace(setup, settings=setup.settings.model_copy(update={"engine": "eager"}))


def stacked(rows: Sequence[Rows]) -> Rows:
    """Return the rows of several seeds side by side."""
    inputs, targets = (
        {name: torch.stack([tensors[name] for tensors in each]) for name in each[0]}
        for each in ([seed.inputs for seed in rows], [seed.targets for seed in rows])
    )
    return Rows(inputs, targets, len(rows[0]))


def check_steps(
    planned: Plan,
    optimizers: Sequence[dict[str, Any]],
    loss: dict[str, Any] | None = None,
    target: Target = PAIR,
    placement: Placement = CPU,
    engine: EngineName = "auto",
) -> None:
    """Take the same steps in a stack and by itself: single, short and accumulated batches.

    By themselves, without recording them: `test_engines` shows that this changes no bit.
    """
    loss = loss or {"type": "cross_entropy"}
    setup = made_setup(planned, loss, target, placement, engine)
    stack = Stack.of(trials(setup, optimizers)[::-1])
    torch.manual_seed(0)
    figures, data = [], []
    for index, sizes in enumerate(SIZES):
        batches = tuple(
            on(placement, stacked([made_rows(planned, target, size) for _ in stack.seeds]))
            for size in sizes
        )
        data.append(batches)
        lrs = torch.tensor([trial.optimizer.lr * 0.9**index for trial in stack.trials])
        figures.append(stack.take_step(batches, lrs.to(placement.device)))
    for run, trial in enumerate(stack.trials):
        trainer = assemble_trial(replace(trial, setup=eager(trial.setup)))
        trainer.network.train()
        seed = stack.seeds.index(trial.seed)
        for index, batches in enumerate(data):
            trainer.optimizer.lr = trial.optimizer.lr * 0.9**index
            single = trainer.stepper.take_step(
                tuple(batch.each(itemgetter(seed)) for batch in batches), number=index
            )
            norm = torch.linalg.vector_norm(single[1:])
            assert are_close(torch.stack([single[0], norm]), figures[index][run])
        network = stack.network
        weights = network.state_dict(run, network.parameters.values, network.buffers)
        assert weights.keys() == trainer.network.state_dict().keys()
        for key, weight in trainer.network.state_dict().items():
            assert are_close(weight, weights[key]), key


def are_close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", SAMPLES.values(), ids=list(SAMPLES))
def test_every_optimizer(optimizer: dict[str, Any]) -> None:
    check_steps(plan((5,), HIDDEN, DROPOUT, HIDDEN, DENSE), [optimizer])


@pytest.mark.parametrize("optimizer", SAMPLES.values(), ids=list(SAMPLES))
def test_runs_of_one_optimizer_and_several_weight_decays_take_one_step(
    optimizer: dict[str, Any],
) -> None:
    decays = [{**optimizer, "weight_decay": decay} for decay in (0.0, 0.1, 0.5)]
    planned = plan((5,), HIDDEN, DENSE)
    check_steps(planned, decays)
    stack = Stack.of(trials(made_setup(planned, {"type": "cross_entropy"}), decays))
    assert len(stack.groups) == 1
    kept = [0, 5, 11]
    before = stack.groups[0].optimizer.weight_decay
    assert isinstance(before, torch.Tensor)
    stack.keep(kept)
    after = stack.groups[0].optimizer.weight_decay
    assert isinstance(after, torch.Tensor)
    assert after.equal(before[kept])


@pytest.mark.parametrize("share", SHARES)
def test_members(share: str) -> None:
    check_steps(plan_members(share, *MEMBERS), [{"type": "sgd"}, {"type": "adam"}])


@pytest.mark.parametrize("combine", JOINS)
def test_inputs(combine: str) -> None:
    check_steps(plan_inputs(combine), [{"type": "sgd"}, {"type": "adam"}])


@pytest.mark.parametrize("num_dense", [0, 3])
def test_several_fields(num_dense: int) -> None:
    planned = plan_embedded(num_dense, HIDDEN, DROPOUT, DENSE)
    check_steps(planned, [{"type": "sgd"}, {"type": "adam"}])


def test_all_optimizers_at_once() -> None:
    check_steps(plan((5,), HIDDEN, DROPOUT, DENSE), [*SAMPLES.values()])


@pytest.mark.parametrize(("shape", "spec"), STACKABLE, ids=name)
def test_every_layer(shape: tuple[int, ...], spec: dict[str, Any]) -> None:
    planned = plan(shape, spec, DROPOUT, {"type": "flatten"}, DENSE)
    # A bias of keys changes no attention weight: adam would scale the rounding in its gradient.
    has_keys = "num_heads" in spec and spec.get("bias", True)
    check_steps(planned, [{"type": "sgd"}, *([] if has_keys else [{"type": "adam"}])])


@pytest.mark.parametrize(("loss", "target"), EVERY_LOSS)
def test_every_loss(loss: dict[str, Any], target: Target) -> None:
    num_outputs = loss_of(loss).num_outputs(2)
    check_steps(plan((5,), HIDDEN, DENSE, outputs=num_outputs), [{"type": "sgd"}], loss, target)


ELSEWHERE = torch.device("meta")  # where nothing is computed: what reads or mixes there, fails


class _NoAutocast(Placement):
    def autocast(self) -> Any:
        return nullcontext()


def test_a_step_on_a_device_uses_nothing_that_is_not_there() -> None:
    placement = _NoAutocast(ELSEWHERE, torch.float32, "for this test")
    planned = plan((5,), HIDDEN, {"type": "batch_norm"}, DENSE)
    setup = made_setup(planned, {"type": "cross_entropy"}, placement=placement)
    stack = Stack.of(trials(setup, [*SAMPLES.values()]))
    for kept in (len(stack.trials), 7):
        stack.keep([*range(kept)])
        for batches in stacked_steps(setup, stack.seeds, 1):
            figures = stack.take_step(batches, torch.zeros(kept, device=ELSEWHERE))
            assert (figures.device, figures.shape) == (ELSEWHERE, (kept, 2))


@pytest.mark.parametrize("last_batch", ["keep", "drop", "join"])
def test_each_seed_takes_the_batches_that_it_takes_by_itself(last_batch: LastBatch) -> None:
    rows = Rows({"x": torch.arange(65.0)[:, None]}, {"y": torch.arange(65.0)}, 65)
    settings = TrainingConfig(batch_size=8, accumulate_batches=3, last_batch=last_batch)
    setup = made_setup(plan((5,), DENSE), {"type": "cross_entropy"})
    setup, seeds = replace(setup, train=rows, settings=settings), [1, 2, 3]
    stacked = [*stacked_steps(setup, seeds, 2)]
    assert len(stacked) == setup.steps_per_epoch
    for index, seed in enumerate(seeds):
        alone = epoch_steps(
            rows, batch_size=8, accumulate=3, seed=seed, epoch=2, last_batch=last_batch
        )
        for step, other in zip(stacked, alone, strict=True):
            assert [*map(len, step)] == [*map(len, other)]
            for batch, same in zip(step, other, strict=True):
                assert torch.equal(batch.inputs["x"][index], same.inputs["x"])
                assert torch.equal(batch.targets["y"][index], same.targets["y"])


def num_recordings(planned: Plan, engine: EngineName) -> int:
    """Return how many recordings there are after a step of a stack."""
    setup = made_setup(planned, {"type": "cross_entropy"}, engine=engine)
    stack = Stack.of(trials(setup, [{"type": "sgd"}]))
    [batches] = stacked_steps(setup, stack.seeds, 1)
    stack.take_step(batches, torch.zeros(len(stack.trials)))
    return len(stack.recordings)


def test_a_stack_is_recorded_where_single_runs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan_embedded(3, HIDDEN, DENSE)
    assert num_recordings(planned, "auto") == 1
    assert num_recordings(planned, "captured") == 1
    assert num_recordings(planned, "eager") == 0
    monkeypatch.setattr(inputs, "RECORDING_OBSTACLE", "for this test")
    assert num_recordings(planned, "auto") == 0


def test_accumulated_batches_count_no_row_twice_for_memory() -> None:
    planned = plan((5,), {"type": "dense", "units": 100_000}, DENSE)
    setup = made_setup(planned, {"type": "cross_entropy"})
    many = setup.settings.model_copy(update={"accumulate_batches": 1_000})
    assert obstacle_to_stacking(setup) is None
    assert obstacle_to_stacking(replace(setup, settings=many)) is None  # of 8 rows
    wide = plan((5,), {"type": "dense", "units": 1_000_000}, DENSE)
    assert obstacle_to_stacking(replace(setup, plan=wide)) == "memory has no room for two"


@pytest.mark.parametrize(("dropout", "said"), [(0.0, None), (0.3, "on cuda, stacked runs would")])
def test_dropout_keeps_runs_on_cuda_from_being_stacked(dropout: float, said: str | None) -> None:
    cuda = Placement(torch.device("cuda"), torch.float32, "for this test")
    planned = plan((5,), HIDDEN, {"type": "dropout", "rate": dropout}, DENSE)
    setup = made_setup(planned, {"type": "cross_entropy"})
    assert obstacle_to_stacking(setup) is None
    obstacle = obstacle_to_stacking(replace(setup, placement=cuda))
    assert obstacle is said is None or str(obstacle).startswith(str(said))


def test_cut_batches_keep_runs_from_being_stacked() -> None:
    setup = made_setup(plan((5,), HIDDEN, DROPOUT, DENSE), {"type": "cross_entropy"})
    cut = setup.settings.model_copy(update={"shards": 2})
    said = obstacle_to_stacking(replace(setup, settings=cut))
    assert said == "batches are cut (training.shards)"


def cuda_placement() -> Placement:
    placement = choose_placement("cuda", "fp32")
    configure_torch(placement)
    return placement


ON_CUDA: list[EngineName] = ["eager", "captured"]


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ON_CUDA)
def test_all_optimizers_at_once_on_cuda(engine: EngineName) -> None:
    planned = plan((5,), HIDDEN, HIDDEN, DENSE)
    check_steps(planned, [*SAMPLES.values()], placement=cuda_placement(), engine=engine)


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ON_CUDA)
@pytest.mark.parametrize(("shape", "spec"), STACKABLE, ids=name)
def test_every_layer_on_cuda(
    shape: tuple[int, ...], spec: dict[str, Any], engine: EngineName
) -> None:
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    if has_dropout(planned):
        pytest.skip("not stacked on CUDA")
    optimizers = [{"type": "sgd"}, {"type": "adam"}]
    check_steps(planned, optimizers, placement=cuda_placement(), engine=engine)


def read_setup(config: str, *settings: str, placement: Placement = CPU) -> SharedSetup:
    return build_setup(prepare(load_config(ROOT / "configs" / config, list(settings))), placement)


def check_trials(resolved: Sequence[ResolvedTrial]) -> dict[str, int]:
    """Train stacked and sequentially; return how many ended how."""
    sequential = {finished.trial: finished for finished in over(run_sequentially(resolved))}
    stacked = over(run_stacked(resolved))
    assert {finished.trial for finished in stacked} == {one.trial for one in resolved}
    for finished in stacked:
        check_alike(finished, sequential[finished.trial])
    ends = [finished.end for finished in stacked]
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


RULES: list[dict[str, Any]] = [
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9, "dampening": 0.1},
    {"type": "adam"},
    {"type": "rmsprop"},
]


def test_each_run_stops_early_by_itself() -> None:
    setup = read_setup(
        "penguins.yaml",
        "training.epochs=15",
        "training.early_stopping={patience: 4, metric: accuracy}",
        "schedule={type: cosine, warmup_epochs: 1.5}",
        "training.accumulate_batches=2",
    )
    ends = check_trials(trials(setup, RULES, (0.05, 0.005, 0.0005)))
    assert ends["early_stopping"] >= 3
    assert ends["epochs"] >= 3


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ON_CUDA)
def test_whole_runs_on_cuda(engine: EngineName) -> None:
    setup = read_setup(
        "penguins.yaml",
        "training.epochs=8",
        "training.early_stopping={patience: 3, metric: accuracy}",
        "training.accumulate_batches=2",
        "model.layers=[{type: dense, units: 8, activation: tanh}, {type: dense}]",
        f"training.engine={engine}",
        placement=cuda_placement(),
    )
    resolved = trials(setup, RULES)
    assert sum(check_trials(resolved).values()) == len(resolved)
    assert plan_execution(resolved, 2).num_processes == 1


def test_each_run_has_a_plateau_of_its_own() -> None:
    setup = read_setup(
        "diabetes.yaml", "training.epochs=8", "schedule={type: reduce_on_plateau, patience: 0}"
    )
    check_trials(trials(setup, RULES))


def test_a_run_that_diverges_touches_no_other() -> None:
    setup = read_setup("diabetes.yaml", "training.epochs=6", "training.batch_size=full")
    diverging = trials(setup, [{"type": "sgd"}], (0.01, 1e6, 0.001, 1e20))
    assert check_trials(diverging) == {"diverged": 4, "epochs": 4}


def test_processes_bring_the_same_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = trials(read_setup("penguins.yaml", "training.epochs=2"), RULES)
    jobs = [
        Job(tuple(resolved[:4]), is_stacked=True),
        Job(tuple(resolved[4:12]), is_stacked=True),
        Job(tuple(resolved[12:]), is_stacked=False),
    ]
    here = {finished.trial: finished for finished in over(execute(jobs, 1))}
    for is_forked in (True, False):
        monkeypatch.setattr(workers, "IS_FORKED", is_forked)
        there = over(execute(jobs, 2))
        assert {finished.trial for finished in there} == set(here)
        assert set(here) == {one.trial for one in resolved}
        for finished in there:
            same = here[finished.trial]
            assert (finished.curve, finished.end) == (same.curve, same.end)
            for key, weight in finished.weights.items():
                assert torch.equal(same.weights[key], weight)


def long_jobs() -> list[Job]:
    setup = read_setup("penguins.yaml", "training.epochs=2000")
    return [Job((trial,), is_stacked=False) for trial in trials(setup, RULES[:1])]


def test_a_process_that_the_system_ends_is_told() -> None:
    events = execute(long_jobs(), 2)
    next(events)
    first, second = multiprocessing.active_children()
    first.kill()
    with pytest.raises(OutOfMemoryError, match=r"ended by the system \(exit code -9\)"):
        list(events)
    assert not second.is_alive()


def test_processes_end_with_who_asked() -> None:
    events = execute(long_jobs(), 2)
    next(events)
    assert len(multiprocessing.active_children()) == 2
    events.close()
    assert multiprocessing.active_children() == []


def test_processes_say_nothing_when_who_asked_ends_without_a_word() -> None:
    setup = read_setup("penguins.yaml", "training.epochs=1")
    jobs = [Job((trial,), is_stacked=False) for trial in trials(setup, RULES[:1])]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        sys.stderr = os.fdopen(writing, "w")
        events = execute(jobs, 2)
        next(events)
        time.sleep(1)  # both jobs are done, and what came of them is unread
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:  # until the last process has ended
        assert said.read() == ""


def test_what_is_stacked_follows_from_the_trials_and_is_said() -> None:
    resolved = trials(read_setup("moons.yaml"), RULES)
    plan = plan_execution(resolved, 2)
    assert plan.reason == "in 2 stacks on 2 processes"
    assert [len(job.trials) for job in plan.jobs] == [8, 8]
    assert {trial for job in plan.jobs for trial in job.trials} == set(resolved)
    for number in (1, 7):
        assert plan_execution(resolved, number).jobs == plan.jobs
    single = plan_execution(trials(read_setup("penguins.yaml"), RULES)[:1], 2)
    assert single.num_processes == 1


def test_steps_that_are_mostly_arithmetic_are_taken_one_by_one() -> None:
    plan = plan_execution(trials(read_setup("digits.yaml"), RULES), 2)
    assert plan.reason == ("one by one on 2 processes (no two of them would gain by sharing steps)")
    assert not any(job.is_stacked for job in plan.jobs)


def test_traced_weights_are_those_of_each_trial_by_itself() -> None:
    resolved = trials(read_setup("moons.yaml", "training.epochs=2"), RULES)[:4]
    best = {
        finished.trial: (finished.best_epoch, finished.weights)
        for finished in over(run_sequentially(resolved))
    }
    epochs = [best[one.trial][0] for one in resolved]
    traced = trace_stacked(resolved, epochs, lambda epoch: epoch == 1)
    for one, last, snapshots in zip(resolved, epochs, traced, strict=True):
        assert [epoch for epoch, _ in snapshots] == sorted({0, 1, last})
        start = assemble_trial(one).network.state_dict()
        for expected, (_, weights) in ((start, snapshots[0]), (best[one.trial][1], snapshots[-1])):
            assert weights.keys() == expected.keys()
            for key, tensor in expected.items():
                torch.testing.assert_close(weights[key], tensor, rtol=1e-4, atol=1e-5)
