"""A step of trials side by side, beside as many steps one after the other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import torch

from benchmarks.gpu.work import Work, seconds_a_call
from benchmarks.many_runs import SEEDS, read_setup, trials_of, write_two_features
from benchmarks.workloads import WORKLOADS, write_workload
from dlcli.training.device import choose_placement, configure_torch
from dlcli.trials.running.execution import obstacle_to_stacking
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.step_time import full_step, single_step
from dlcli.trials.setup import ResolvedTrial

Engine = Literal["eager", "captured"]

ENGINES: tuple[Engine, ...] = ("eager", "captured")
_COUNTS = (1, 10, 50, 150)
_SECONDS = 8.0  # of a row of the table
NO_DROPOUT = (
    "model.layers=[{type: dense, units: 64, activation: relu}, "
    "{type: dense, units: 64, activation: relu}, {type: dense}]"
)


def configs(work: Work) -> dict[str, tuple[Path, list[str]]]:
    """Return configs, with settings: networks without dropout, which can be stacked on CUDA."""
    folder = Path(work.folder)
    found = {"two features, 8-8, batches of 16": (write_two_features(folder), list[str]())}
    if not work.is_small:
        tiny, _ = write_workload(WORKLOADS["tiny"], folder)
        found["*tiny* without dropout, 64-64, batches of 32"] = (tiny, [NO_DROPOUT])
    return found


def trials_on(
    work: Work, config: Path, settings: list[str], engine: Engine, num_epochs: int
) -> list[ResolvedTrial]:
    """Return 150 trials that differ in optimizer, learning rate and seed."""
    placement = choose_placement(work.device, "fp32")
    configure_torch(placement)
    setup = read_setup(config, num_epochs, placement, [*settings, f"training.engine={engine}"])
    return trials_of(setup, SEEDS)


def lines(work: Work) -> Iterator[str]:
    """Yield the section's lines."""
    yield "A step of one trial, in µs: alone, with Adam, or of so many in a stack divided by their"
    yield "number, with six optimizers."
    yield ""
    columns = ("alone, eager", "alone, captured", "stacked, eager", "stacked, captured")
    yield f"| network | trials | {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|"
    left_out = []
    for name, (config, settings) in configs(work).items():
        trials = {engine: trials_on(work, config, settings, engine, 1) for engine in ENGINES}
        if obstacle := obstacle_to_stacking(trials["eager"][0].setup):
            yield f"| {name} | not stacked: {obstacle} |||||"
            continue
        for count in _COUNTS[: 2 if work.is_small else None]:
            if not work.has_time_for(_SECONDS):
                left_out.append(f"{count} trials of {name}")
                continue
            steps: dict[str, Callable[[], object]] = {}
            for engine in ENGINES:
                some = trials[engine][:: len(trials[engine]) // count][:count]
                with_adam = (trial for trial in trials[engine] if trial.optimizer.type == "adam")
                steps[f"alone {engine}"] = single_step(next(with_adam))
                steps[f"stacked {engine}"] = stacked_step(some)
            seconds = seconds_a_call(steps, work)
            cells = [seconds[f"alone {engine}"] for engine in ENGINES]
            cells += [seconds[f"stacked {engine}"] / count for engine in ENGINES]
            figures = " | ".join(f"{cell * 1e6:,.1f}" for cell in cells)
            yield f"| {name} | {count} | {figures} |"
    if left_out:
        yield ""
        yield f"Left out, as there was no time: {'; '.join(left_out)}."


def stacked_step(trials: list[ResolvedTrial]) -> Callable[[], object]:
    """Return what takes a step of all of them, on full batches."""
    setup, stack = trials[0].setup, Stack.of(trials)
    batches = tuple(
        batch.each(lambda tensor: tensor.expand(len(stack.seeds), *tensor.shape))
        for batch in full_step(setup)
    )
    lrs = torch.zeros(len(trials), device=setup.placement.device)
    return lambda: stack.take_step(batches, lrs)
