"""How trials are executed, stacked or sequentially, and why so."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from dlcli.errors import counted
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
_MAX_STACKED_WORK = 2**24  # multiplications of a forward pass: more take as long one by one
_STACK_WORK = 2**22  # those of a stack, beside which the rest of a step hardly counts
_MIN_SIZE, _MAX_SIZE = 16, 150  # trials of a stack
_MIN_SHARED = 4  # trials that make two stacks
_TENSORS_PER_PARAMETER = 8  # values, gradient, optimizer state, the best so far, temporary copies


@dataclass(frozen=True)
class ExecutionPlan:
    """What each process does, in words and as jobs."""

    reason: str
    jobs: tuple[Job, ...]
    num_processes: int


def plan_execution(
    trials: Sequence[ResolvedTrial],
    num_processes: int | None = None,
    name: Callable[[int], str] = name_processes,
) -> ExecutionPlan:
    """Cut trials into jobs that are the same whenever and wherever these trials are planned.

    Nothing is measured, and the number of processes decides only how many jobs are done at once:
    the last bits of a trial depend on which others are in its stack. Trials that stack with each
    other are stacked where a step of one is small. `name` says in words what so many processes are.
    """
    groups: list[list[ResolvedTrial]] = []
    for trial in trials:
        for group in groups:
            if group[0].setup.stacks_with(trial.setup):
                group.append(trial)
                break
        else:
            groups.append([trial])
    return in_jobs([job for group in groups for job in _jobs(group)], num_processes, name)


def in_jobs(
    jobs: Sequence[Job],
    num_processes: int | None = None,
    name: Callable[[int], str] = name_processes,
) -> ExecutionPlan:
    """Return the plan of jobs that are known."""
    trials = [trial for job in jobs for trial in job.trials]
    on_cpu = all(trial.setup.placement.device.type == "cpu" for trial in trials)
    # Processes that share a GPU wait for each other.
    processes = min(num_processes or MAX_THREADS, len(jobs)) if on_cpu else 1
    on = name(processes)
    num_stacked = sum(len(job.trials) for job in jobs if job.is_stacked)
    if num_stacked == len(trials):
        reason = f"in {counted(len(jobs), 'stack')} on {on}"
    elif num_stacked:
        reason = f"{num_stacked} of them stacked, {len(trials) - num_stacked} one by one, on {on}"
    else:
        why = obstacle_to_stacking(trials[0].setup) or "no two of them would gain by sharing steps"
        reason = f"one by one on {on} ({why})"
    return ExecutionPlan(reason, tuple(jobs), processes)


def without_finished(plan: ExecutionPlan, missing: Collection[Trial]) -> ExecutionPlan:
    """Return a plan without the jobs of which no trial is missing."""
    wanted = {*missing}
    jobs = (job for job in plan.jobs if any(one.trial in wanted for one in job.trials))
    return replace(plan, jobs=tuple(jobs))


def measure_step(plan: ExecutionPlan) -> float:
    """Return the seconds that a process takes for a step of one trial, by the plan's first job."""
    job = plan.jobs[0]
    setup = job.trials[0].setup
    with using_threads(1):  # as a process has
        if not job.is_stacked:
            [seconds] = measure([single_step(job.trials[0])], setup.placement.device)
            return seconds
        return _stacked_seconds(job.trials)


def _jobs(group: Sequence[ResolvedTrial]) -> Iterator[Job]:
    """Yield the jobs of trials that stack with each other."""
    size = _stack_size(group[0].setup)
    pieces = -(-len(group) // size)
    if size > 1 and len(group) >= _MIN_SHARED:
        pieces += pieces % 2  # for two processes, or four, to have as much to do
    ends = [len(group) * piece // pieces for piece in range(pieces + 1)]
    ordered = in_groups(group) if size > 1 else group
    for start, end in pairwise(ends):
        yield Job(tuple(ordered[start:end]), is_stacked=end - start > 1)


def _stack_size(setup: SharedSetup) -> int:
    """Return how many trials are stacked at most: more, the less of a step is arithmetic."""
    if obstacle_to_stacking(setup) is not None:
        return 1
    if setup.placement.device.type != "cpu":
        return _max_stacked(setup)
    work = setup.plan.multiply_adds * setup.settings.rows_per_batch(len(setup.train))
    if work > _MAX_STACKED_WORK:
        return 1
    return min(max(_STACK_WORK // work, _MIN_SIZE), _MAX_SIZE, _max_stacked(setup))


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
