"""How long the steps of runs take, measured side by side."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from dlcli.training.engines.threads import choose_threads
from dlcli.training.rows.batches import Rows
from dlcli.trials.trial import RunSpec, SharedSetup, assemble_trial

_WARM_UP = 2  # steps in which it is recorded
_NUM_STEPS = 7
_MAX_SECONDS = 3.0  # of rounds over all that is measured, once each has been done three times


def measure(steps: Sequence[Callable[[], object]]) -> list[float]:
    """Return the median seconds of each step; they take turns, so that all see the same machine."""
    for step in steps:
        for _ in range(_WARM_UP):
            step()
    seconds: list[list[float]] = [[] for _ in steps]
    started = time.perf_counter()
    for number in range(_NUM_STEPS):
        if number > 2 and time.perf_counter() - started > _MAX_SECONDS:
            break
        for own, step in zip(seconds, steps, strict=True):
            begun = time.perf_counter()
            step()
            own.append(time.perf_counter() - begun)
    return [statistics.median(own) for own in seconds]


def measure_step_times(problem: SharedSetup, specs: Sequence[RunSpec]) -> list[float]:
    """Return what a step of each run takes as `dlcli train` does it, with as many threads."""
    with choose_threads(problem.settings, problem.plan, len(problem.train)).used():
        return measure([single_step(problem, spec) for spec in specs])


def single_step(problem: SharedSetup, spec: RunSpec) -> Callable[[], object]:
    """Return what takes a step of a run of its own, on a full batch."""
    with torch.random.fork_rng(devices=[]):
        trainer = assemble_trial(problem, spec)
    trainer.network.train()
    batches = full_step(problem)
    return lambda: trainer.stepper.take_step(batches)


def full_step(problem: SharedSetup) -> tuple[Rows, ...]:
    """Return the rows of a step as they come first."""
    settings = problem.settings
    batch = problem.train.head(settings.rows_per_batch(len(problem.train)))
    return (batch,) * settings.accumulate_batches
