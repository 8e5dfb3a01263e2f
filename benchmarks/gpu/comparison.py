"""A comparison's 150 runs, from the first step to the last, stacked and one after the other."""

import statistics
import time
from collections.abc import Iterator

from benchmarks.gpu.stacks import configs, trials_on
from benchmarks.gpu.work import Work, wait
from benchmarks.many_runs import SEEDS, best_losses
from dlcli.trials.running.execution import plan_execution
from dlcli.trials.running.sequential import run_sequentially
from dlcli.trials.running.workers import execute

_NUM_EPOCHS = 2
_SECONDS = 15.0  # of a network


def lines(work: Work) -> Iterator[str]:
    """Yield the section's lines."""
    yield f"Six optimizers, five learning rates, five seeds, {_NUM_EPOCHS} epochs each, with"
    yield "`training.engine: captured`. One after the other, the runs of one seed are trained, and"
    yield "counted five times."
    yield ""
    yield "| network | chosen | as chosen | one after the other | median of best losses |"
    yield "|---|---|---|---|---|"
    for name, (config, settings) in configs(work).items():
        if not work.has_time_for(_SECONDS):
            yield f"| {name} | left out, as there was no time |||||"
            continue
        trials = trials_on(work, config, settings, "captured", _NUM_EPOCHS)
        alone = [trial for trial in trials if trial.seed == SEEDS[0]]
        if work.is_small:
            trials, alone = trials[::10], alone[:2]
        plan = plan_execution(trials)
        begun = time.perf_counter()
        chosen = best_losses(execute(plan.jobs, plan.num_processes))
        wait(work)
        seconds, begun = time.perf_counter() - begun, time.perf_counter()
        sequential = best_losses(run_sequentially(alone))
        wait(work)
        one_by_one = (time.perf_counter() - begun) * len(trials) / len(alone)
        medians = " and ".join(f"{statistics.median(found):.4f}" for found in (chosen, sequential))
        yield (
            f"| {name} | {plan.reason} | {seconds:.1f} s | {one_by_one:.1f} s, "
            f"{one_by_one / seconds:.1f} × | {medians} |"
        )
