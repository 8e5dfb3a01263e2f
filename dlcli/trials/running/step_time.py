"""How long the steps of trials take, measured side by side."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from dlcli.network.builder import prepare_to_train
from dlcli.training.engines.threads import choose_threads, using_threads
from dlcli.training.rows.batches import Rows
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.steps import first_rows
from dlcli.trials.setup import ResolvedTrial, SharedSetup, assemble_trial

_WARM_UP = 2  # steps in which it is recorded
_NUM_STEPS = 7
_MAX_SECONDS = 3.0  # of rounds over all that is measured, once each has been done three times


def measure(steps: Sequence[Callable[[], object]], device: torch.device) -> list[float]:
    """Return the median seconds of each step; they take turns, so that all see the same machine."""
    for step in steps:
        for _ in range(_WARM_UP):
            step()
    _wait_for(device)
    seconds: list[list[float]] = [[] for _ in steps]
    started = time.perf_counter()
    for number in range(_NUM_STEPS):
        if number > 2 and time.perf_counter() - started > _MAX_SECONDS:
            break
        for durations, step in zip(seconds, steps, strict=True):
            begun = time.perf_counter()
            step()
            _wait_for(device)
            durations.append(time.perf_counter() - begun)
    return [statistics.median(durations) for durations in seconds]


def measure_step_times(trials: Sequence[ResolvedTrial]) -> list[float]:
    """Return the seconds of a step of each trial as `dlcli train` does it, with as many threads.

    Trials share a setup.
    """
    setup = trials[0].setup
    threads = choose_threads(setup.settings, setup.plan, len(setup.train))
    with using_threads(threads.number):
        return measure([single_step(trial) for trial in trials], setup.placement.device)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":  # it is given work, and does it later
        torch.cuda.synchronize(device)


def single_step(trial: ResolvedTrial) -> Callable[[], object]:
    """Return what takes a step of a trial by itself, on a full batch."""
    with torch.random.fork_rng(devices=[]):
        trainer = assemble_trial(trial)
    prepare_to_train(trainer.network, trainer.plan)
    batches = full_step(trial.setup)
    return lambda: trainer.stepper.take_step(batches, number=0)


def full_step(setup: SharedSetup) -> tuple[Rows, ...]:
    """Return the rows of a step as they come first."""
    settings = setup.settings
    num_rows, companions = len(setup.train), companions_of(settings.augment)
    batch = first_rows(setup.train, settings.rows_per_batch(num_rows), companions)
    return (batch,) * settings.accumulate_batches
