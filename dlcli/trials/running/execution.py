"""How the runs of a comparison are done, found by measuring, and why so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dlcli.network.costs import activation_bytes
from dlcli.training.engines.threads import MAX_THREADS, Threads
from dlcli.training.losses import build_objective
from dlcli.training.rows.batches import Rows
from dlcli.trials.running.stack import Stack, in_groups
from dlcli.trials.running.step_time import full_step, measure, single_step
from dlcli.trials.running.workers import Job
from dlcli.trials.trial import RunSpec, SharedSetup

_NUM_TRIED = 12  # runs of the stack that is measured
_MAX_BYTES = 2**29  # of a stack: more of them, one after the other, cost nothing
_TENSORS_A_NUMBER = 4  # that a recorded step keeps of each number of the layers' outputs
_TENSORS_A_PARAMETER = 8  # values, gradient, optimizer's state, the best so far, copies on the way


@dataclass(frozen=True)
class ExecutionPlan:
    """What each process does, in words and as jobs."""

    reason: str
    jobs: tuple[Job, ...]
    num_processes: int
    run_seconds: float  # that one process takes for a step of one run, as it was measured


def plan_execution(
    problem: SharedSetup, specs: Sequence[RunSpec], num_processes: int | None = None
) -> ExecutionPlan:
    """Measure a step of runs together and of one alone, and cut the runs into jobs."""
    processes = min(num_processes or MAX_THREADS, len(specs))
    with Threads(1, "as a process has").used():
        [alone] = measure([single_step(problem, specs[0])])
        obstacle = obstacle_to_stacking(problem)
        together = math.inf if obstacle else _together(problem, specs)
    on = "one process" if processes == 1 else f"{processes} processes"
    if together >= alone:
        why = obstacle or f"together a step of one takes {together / alone:.1f} times as long"
        one_by_one = tuple(Job((spec,), are_together=False) for spec in specs)
        return ExecutionPlan(f"one after the other on {on}: {why}", one_by_one, processes, alone)
    pieces = max(processes, -(-len(specs) // _most_runs(problem)))
    size = -(-len(specs) // pieces)
    ordered = in_groups(specs)
    jobs = [
        Job(tuple(ordered[start : start + size]), are_together=True)
        for start in range(0, len(ordered), size)
    ]
    why = f"a step of one takes 1/{alone / together:.1f} of what it takes alone"
    return ExecutionPlan(
        f"together, {size} at once on {on}: {why}", tuple(jobs), processes, together
    )


def obstacle_to_stacking(problem: SharedSetup) -> str | None:
    """Say why runs can't stand side by side; None: they can."""
    if problem.placement.device.type != "cpu":
        return f"on {problem.placement.device.type} runs are not put together yet"
    if problem.placement.dtype == torch.float16:
        return "fp16 decides at each step whether to take it"
    if _most_runs(problem) < 2:
        return "memory has no room for two"
    return None


def _most_runs(problem: SharedSetup) -> int:
    rows = min(problem.settings.rows_per_batch(len(problem.train)), len(problem.train))
    rows *= problem.settings.accumulate_batches
    outputs = sum(activation_bytes(layer, rows) for layer in problem.plan.layers)
    parameters = 4 * problem.plan.num_parameters
    return _MAX_BYTES // (_TENSORS_A_NUMBER * outputs + _TENSORS_A_PARAMETER * parameters)


def _together(problem: SharedSetup, specs: Sequence[RunSpec]) -> float:
    """Return the seconds of one run's step within a stack of some of them."""
    chosen = specs[:: max(1, len(specs) // _NUM_TRIED)][: min(_NUM_TRIED, _most_runs(problem))]
    objective = build_objective(problem.loss, problem.target, problem.placement.device)
    clip_norm = problem.settings.gradient_clip_norm
    stack = Stack.of(chosen, problem.plan, objective, problem.placement, clip_norm)
    num_seeds = len(stack.seeds)
    batches = tuple(
        Rows(
            batch.features.expand(num_seeds, *batch.features.shape),
            batch.targets.expand(num_seeds, -1),
        )
        for batch in full_step(problem)
    )
    lrs = torch.zeros(len(chosen))
    [seconds] = measure([lambda: stack.take_step(batches, lrs)])
    return seconds / len(chosen)
