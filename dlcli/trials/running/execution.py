"""How trials are executed, stacked or sequentially: found by measuring, and why so."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from dlcli.network.obstacles import has_dropout, stacking_obstacle
from dlcli.training.engines.choice import recorded_bytes
from dlcli.training.engines.threads import MAX_THREADS, using_threads
from dlcli.trials.running.stack import Stack, in_groups
from dlcli.trials.running.step_time import full_step, measure, single_step
from dlcli.trials.running.workers import Job, name_processes
from dlcli.trials.setup import ResolvedTrial, SharedSetup
from dlcli.trials.trial import Trial

_NUM_TRIED = 12  # trials of the stack that is measured
_MAX_BYTES = 2**29  # of a stack: more of them, one after the other, cost nothing
REPEATABLE_SIZE = 16  # trials of a stack that is not measured
_MAX_STACKED_WORK = 2**24  # multiplications of a forward pass: more take as long one by one
_TENSORS_PER_PARAMETER = 8  # values, gradient, optimizer state, the best so far, temporary copies


@dataclass(frozen=True)
class ExecutionPlan:
    """What each process does, in words and as jobs."""

    reason: str
    jobs: tuple[Job, ...]
    num_processes: int
    step_seconds: float  # that one process takes for a step of one trial, as it was measured


@dataclass(frozen=True)
class _SetupPlan:
    """The same for trials that share a setup."""

    jobs: tuple[Job, ...]
    is_stacked: bool
    text: str
    step_seconds: float


@dataclass(frozen=True)
class StepSeconds:
    """The seconds of a step of one trial, by itself and within a stack."""

    single: float
    stacked: float  # infinite where trials can't be stacked


# By setup and the number of trials in the stack that was measured.
Measured = dict[tuple[SharedSetup, int], StepSeconds]


def plan_execution(
    trials: Sequence[ResolvedTrial],
    num_processes: int | None = None,
    name: Callable[[int], str] = name_processes,
    measured: Measured | None = None,
) -> ExecutionPlan:
    """Cut trials into jobs; of each setup, measure a step of its trials stacked and one by one.

    `name` says in words what so many processes are. What is in `measured` is not measured again;
    what is, is added to it.
    """
    measured = {} if measured is None else measured
    on_cpu = all(trial.setup.placement.device.type == "cpu" for trial in trials)
    # Processes that share a GPU wait for each other.
    processes = min(num_processes or MAX_THREADS, len(trials)) if on_cpu else 1
    on = name(processes)
    groups: dict[SharedSetup, list[ResolvedTrial]] = {}
    for trial in trials:
        groups.setdefault(trial.setup, []).append(trial)
    plans = [_plan(group, -(-processes // len(groups)), on, measured) for group in groups.values()]
    if len(plans) == 1:
        reason = plans[0].text
    else:
        stacked = [len(job.trials) for plan in plans if plan.is_stacked for job in plan.jobs]
        reason = (
            f"{sum(stacked)} of them stacked, {len(trials) - sum(stacked)} one by one, on {on}: "
            f"{len(groups)} settings can't share a stack"
        )
    counts = map(len, groups.values())
    seconds = sum(plan.step_seconds * n for plan, n in zip(plans, counts, strict=True))
    jobs = tuple(job for plan in plans for job in plan.jobs)
    return ExecutionPlan(reason, jobs, processes, seconds / len(trials))


def plan_repeatably(
    trials: Sequence[ResolvedTrial],
    num_processes: int | None = None,
    name: Callable[[int], str] = name_processes,
) -> ExecutionPlan:
    """Cut trials into jobs that are the same whenever and wherever these trials are planned.

    Nothing is measured, and the number of processes decides only how many jobs are done at once.
    Trials that stack with each other are stacked, `REPEATABLE_SIZE` at a time, where a step of one
    is small; the last bits of a trial depend on which others are in its stack.
    """
    groups: list[list[ResolvedTrial]] = []
    for trial in trials:
        for group in groups:
            if group[0].setup.stacks_with(trial.setup):
                group.append(trial)
                break
        else:
            groups.append([trial])
    jobs: list[Job] = []
    for group in groups:
        setup = group[0].setup
        is_stacked = len(group) > 1 and _is_worth_stacking(setup)
        size = min(REPEATABLE_SIZE, _max_stacked(setup)) if is_stacked else 1
        ordered = in_groups(group) if is_stacked else group
        pieces = -(-len(group) // size)
        ends = [len(group) * piece // pieces for piece in range(pieces + 1)]
        jobs += [
            Job(tuple(ordered[start:end]), is_stacked=end - start > 1)
            for start, end in pairwise(ends)
        ]
    num_stacked = sum(len(job.trials) for job in jobs if job.is_stacked)
    on_cpu = all(trial.setup.placement.device.type == "cpu" for trial in trials)
    processes = min(num_processes or MAX_THREADS, len(jobs)) if on_cpu else 1
    on = name(processes)
    if num_stacked == len(trials):
        num_stacks = len(jobs)
        reason = f"in {num_stacks} stack{'s' if num_stacks > 1 else ''} on {on}"
    elif num_stacked:
        reason = f"{num_stacked} of them stacked, {len(trials) - num_stacked} one by one, on {on}"
    else:
        why = obstacle_to_stacking(trials[0].setup) or "no two of them would gain by sharing steps"
        reason = f"one by one on {on} ({why})"
    return ExecutionPlan(reason, tuple(jobs), processes, 0.0)


def without_finished(plan: ExecutionPlan, missing: Collection[Trial]) -> ExecutionPlan:
    """Return a plan without the jobs of which no trial is missing."""
    wanted = {*missing}
    jobs = (job for job in plan.jobs if any(one.trial in wanted for one in job.trials))
    return replace(plan, jobs=tuple(jobs))


def _is_worth_stacking(setup: SharedSetup) -> bool:
    """Say whether a step of one trial is so small that most of it is not arithmetic."""
    if obstacle_to_stacking(setup) is not None:
        return False
    rows = setup.settings.rows_per_batch(len(setup.train))
    return setup.plan.multiply_adds * rows <= _MAX_STACKED_WORK


def _plan(
    trials: Sequence[ResolvedTrial], processes: int, on: str, measured: Measured
) -> _SetupPlan:
    setup = trials[0].setup
    key = (setup, min(len(trials), _NUM_TRIED))
    seconds = measured.get(key) or _measure(trials)
    measured[key] = seconds
    if seconds.stacked >= seconds.single:
        why = obstacle_to_stacking(setup) or (
            f"a stacked step would take {seconds.stacked / seconds.single:.1f} × as long"
        )
        jobs = tuple(Job((trial,), is_stacked=False) for trial in trials)
        return _SetupPlan(jobs, False, f"one by one on {on} ({why})", seconds.single)
    pieces = max(processes, -(-len(trials) // _max_stacked(setup)))
    size = -(-len(trials) // pieces)
    ordered = in_groups(trials)
    jobs = tuple(
        Job(tuple(ordered[start : start + size]), is_stacked=True)
        for start in range(0, len(ordered), size)
    )
    gain = f"{seconds.single / seconds.stacked:.1f} × faster than one by one"
    return _SetupPlan(jobs, True, f"stacked {size} at a time on {on} ({gain})", seconds.stacked)


def obstacle_to_stacking(setup: SharedSetup) -> str | None:
    """Say why trials of a setup can't be stacked; None: they can."""
    device = setup.placement.device.type
    if device not in ("cpu", "cuda"):
        return f"stacking is not available on {device}"
    if device == "cuda" and has_dropout(setup.plan):
        return "on cuda, stacked runs would drop other units than single ones"
    if setup.settings.shards > 1:
        return "batches are cut (training.shards)"
    if setup.placement.dtype == torch.float16:
        return "fp16 decides at each step whether to take it"
    obstacle = stacking_obstacle(setup.plan)
    if obstacle is not None:
        return obstacle
    if _max_stacked(setup) < 2:
        return "memory has no room for two"
    return None


def _max_stacked(setup: SharedSetup) -> int:
    step = recorded_bytes(setup.settings, setup.plan, len(setup.train))
    parameters = 4 * setup.plan.num_parameters
    return _MAX_BYTES // (step + _TENSORS_PER_PARAMETER * parameters)


def _measure(trials: Sequence[ResolvedTrial]) -> StepSeconds:
    """Measure trials of one setup."""
    setup = trials[0].setup
    with using_threads(1):  # as a process has
        [single] = measure([single_step(trials[0])], setup.placement.device)
        stacked = math.inf if obstacle_to_stacking(setup) else _stacked_seconds(trials)
    return StepSeconds(single, stacked)


def _stacked_seconds(trials: Sequence[ResolvedTrial]) -> float:
    """Return the seconds of one trial's step within a stack of some of them."""
    setup = trials[0].setup
    most = min(_NUM_TRIED, _max_stacked(setup))
    chosen = trials[:: max(1, len(trials) // _NUM_TRIED)][:most]
    stack = Stack.of(chosen)
    num_seeds = len(stack.seeds)
    batches = tuple(
        batch.each(lambda tensor: tensor.expand(num_seeds, *tensor.shape))
        for batch in full_step(setup)
    )
    device = setup.placement.device
    lrs = torch.zeros(len(chosen), device=device)
    [seconds] = measure([lambda: stack.take_step(batches, lrs)], device)
    return seconds / len(chosen)
