"""8 folds × 4 repeats as stacks, beside the same networks one after the other.

`python -m benchmarks.folds [--write]`: the 32 networks of `dlcli train --folds 8 --repeats 4`, on
all cores as the command executes them, and one by one as `dlcli train` does a single run of such a
size, on one thread. Both are measured in turn, three times; the medians count. CPU seconds, of all
processes together, say what other work on the machine doesn't change.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from benchmarks.many_runs import write_two_features
from benchmarks.measurement import machine, met, publish
from benchmarks.workloads import WORKLOADS, write_workload
from dlcli.config import load_config
from dlcli.data.stream import drain
from dlcli.runs.comparison.setup import build_fold_resolver
from dlcli.runs.folds.preparation import preparing_folds
from dlcli.training.device import choose_placement
from dlcli.trials.results import FinishedTrial
from dlcli.trials.running.execution import plan_execution
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.workers import execute
from dlcli.trials.setup import ResolvedTrial

PAGE = Path(__file__).parent.parent / "docs" / "measurements" / "folds.md"
NUM_FOLDS, NUM_REPEATS, NUM_ROUNDS, REQUIRED = 8, 4, 3, 5.0
WORK: dict[str, tuple[Callable[[Path], Path], int]] = {  # a config, and the epochs of a network
    "Two features, 2,000 rows, 8-8 tanh, batches of 16": (write_two_features, 10),
    "*tiny*: 20 features, 20,000 rows, 64-64 ReLU with dropout, batches of 32": (
        lambda folder: write_workload(WORKLOADS["tiny"], folder)[0],
        2,
    ),
}


def resolved_folds(config: Path, epochs: int) -> list[ResolvedTrial]:
    """Return the trials of a config's folds, their rows encoded."""
    settings = [f"training.epochs={epochs}", f"folds.folds={NUM_FOLDS}"]
    settings.append(f"folds.repeats={NUM_REPEATS}")
    folds = drain(preparing_folds(load_config(config, settings)))
    resolver = build_fold_resolver(folds.rows, folds.first, choose_placement("cpu", "fp32"))
    return [*map(resolver.resolve, folds.trials)]


def losses(events: Iterable[object]) -> dict[str, float]:
    """Return the validation loss of each network's best epoch, by its trial."""
    return {
        event.trial.key: event.curve[event.best_epoch - 1].validation_loss
        for event in events
        if isinstance(event, FinishedTrial)
    }


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(name: str, folder: Path) -> tuple[str, bool]:
    """Return a work load's line, and whether its figure is met."""
    write, epochs = WORK[name]
    trials = resolved_folds(write(folder), epochs)

    def sequential() -> dict[str, float]:
        torch.set_num_threads(1)
        return losses(run_sequentially(trials))

    def stacked() -> dict[str, float]:
        plan = plan_execution(trials)
        return losses(execute(plan.jobs, plan.num_processes))

    seconds: dict[str, list[float]] = {"sequential": [], "stacked": []}
    cpu: dict[str, list[float]] = {"sequential": [], "stacked": []}
    found = {}
    for _ in range(NUM_ROUNDS):
        for way, function in (("sequential", sequential), ("stacked", stacked)):
            begun, worked = time.perf_counter(), cpu_seconds()
            found[way] = function()
            seconds[way].append(time.perf_counter() - begun)
            cpu[way].append(cpu_seconds() - worked)
            print(f"{name}: {way} {seconds[way][-1]:.2f} s", file=sys.stderr)
    off = max(abs(found["stacked"][key] - loss) for key, loss in found["sequential"].items())
    single, ours = (statistics.median(found) for found in seconds.values())
    cpu_single, cpu_ours = (statistics.median(found) for found in cpu.values())
    line = (
        f"| {name} | {epochs} | {single:.1f} | {ours:.2f} | {plan_execution(trials).reason} | "
        f"{single / ours:.1f} | {met(single / ours, REQUIRED)} | {cpu_single:.1f} | "
        f"{cpu_ours:.2f} | {off:.1g} |"
    )
    return line, single / ours >= REQUIRED


def main() -> None:
    """Measure, print, and with --write write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/folds.md")
    arguments = parser.parse_args()
    lines = [
        "# Speed of folds",
        "",
        "Made by `python -m benchmarks.folds --write`: the 32 networks of 8 folds × 4 repeats, as "
        "`dlcli train --folds 8 --repeats 4` trains them, and one after the other, on one thread "
        f"each. Medians of {NUM_ROUNDS} rounds; encoding the rows, common to both, is left out.",
        "",
        "| network | epochs | one by one [s] | stacked [s] | how | speedup | "
        f"at least {REQUIRED:.0f} | one by one [CPU s] | stacked [CPU s] | "
        "largest difference of a loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    are_met = True
    with tempfile.TemporaryDirectory() as folder:
        for name in WORK:
            line, is_met = measure(name, Path(folder))
            lines.append(line)
            are_met &= is_met
    lines += [
        "",
        f"{machine()}; a load of {os.getloadavg()[0]:.0f}.",
    ]
    publish(lines, PAGE, is_written=arguments.write)
    sys.exit(not are_met)


if __name__ == "__main__":
    main()
