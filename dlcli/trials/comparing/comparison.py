"""The results of a comparison: of each optimizer, and of all of them side by side."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dlcli.optimizers.base import OptimizerConfig
from dlcli.targets.task import AnyTask, is_of_numbers
from dlcli.trials.comparing.learning_rate_grid import Choice, choose
from dlcli.trials.comparing.verdict import Interval, Verdict, judge, mean_interval
from dlcli.trials.constant_baseline import ConstantBaseline
from dlcli.trials.results import TrialResult

_SOLVED = 1e-2
Grid = Mapping[float, Sequence[TrialResult]]  # rate → its runs, a tuning seed each


@dataclass(frozen=True)
class OptimizerResult:
    """The results of one optimizer."""

    name: str
    optimizer: OptimizerConfig  # with the rate that was chosen; as it was given where none could be
    grid: Grid
    runs: tuple[TrialResult, ...]  # with the chosen rate, seed by seed; none where none was chosen
    target: float | None  # the validation loss that defines time-to-target
    solved: float  # a validation loss up to which all losses count as equal

    @cached_property
    def choice(self) -> Choice | None:
        """The learning rate that was chosen; None where runs diverged at every rate."""
        return choose(best_losses(self.grid), solved=self.solved)

    @property
    def num_diverged(self) -> int:
        """How many of the runs with the chosen rate diverged."""
        return sum(not run.is_sound for run in self.runs)

    @property
    def num_diverged_in_tuning(self) -> int:
        """How many runs diverged while the rate was being chosen."""
        return sum(not run.is_sound for runs in self.grid.values() for run in runs)

    @property
    def is_judged(self) -> bool:
        """Whether all its runs came to their end, so that it can be compared."""
        return bool(self.runs) and not self.num_diverged

    @property
    def losses(self) -> list[float]:
        """The best validation loss of each run."""
        return [run.best_loss for run in self.runs]

    def interval(self, part: str, figure: str) -> Interval | None:
        """Return a figure of the validation or test rows over the runs that did not diverge.

        None where there is no such figure of any of them.
        """
        values = [
            value
            for run in self.runs
            if run.is_sound and run.figures is not None
            for name, figures in run.figures.items()
            if name == part and (value := figures.get(figure)) is not None
        ]
        return mean_interval(values) if values else None

    @property
    def figures(self) -> dict[str, dict[str, Interval]]:
        """Every figure's interval, by part of the data and name."""
        names = {
            (part, figure): None
            for run in self.runs
            for part, figures in (run.figures or {}).items()
            for figure in figures
        }
        found: dict[str, dict[str, Interval]] = {}
        for part, figure in names:
            interval = self.interval(part, figure)
            if interval is not None:
                found.setdefault(part, {})[figure] = interval
        return found

    @property
    def epochs_to_target(self) -> list[int | None]:
        """The epoch in which each run reached the target; None: it missed it."""
        if self.target is None:
            return [None] * len(self.runs)
        return [epochs_to(self.target, run.validation_losses) for run in self.runs]

    @property
    def num_missed(self) -> int:
        """How many runs missed the target."""
        return self.epochs_to_target.count(None)

    @property
    def median_epochs(self) -> float:
        """The median of `epochs_to_target`, the higher of two, misses infinite."""
        counted = [math.inf if epoch is None else epoch for epoch in self.epochs_to_target]
        return statistics.median_high(counted) if counted else math.inf

    @property
    def seconds_a_step(self) -> float:
        """The seconds of a step of a run by itself, measured side by side with the others'."""
        known = [run.seconds_a_step for runs in self.grid.values() for run in runs]
        return statistics.median(known)


@dataclass(frozen=True)
class Comparison:
    """The results of all optimizers on one problem."""

    name: str
    task: AnyTask
    results: tuple[OptimizerResult, ...]  # by the verdict's order, then those that it leaves out
    verdict: Verdict | None  # None: fewer than two can be judged
    target: float | None
    target_is_given: bool
    steps_per_epoch: int
    constant: ConstantBaseline | None = None  # on the validation rows

    def result(self, name: str) -> OptimizerResult:
        """Return an optimizer's results."""
        return next(result for result in self.results if result.name == name)

    @property
    def best(self) -> OptimizerResult | None:
        """The one with the lowest mean loss, clearly or not; None where all diverged."""
        return next((result for result in self.results if result.is_judged), None)

    @property
    def rivals(self) -> list[str]:
        """Those that can't be told apart from the best, in order."""
        if self.verdict is None:
            return []
        best = self.verdict.order[0]
        alike = {
            name
            for difference in self.verdict.differences
            if best in difference.names and not difference.is_clear
            for name in difference.names
        }
        return [name for name in self.verdict.order if name in alike - {best}]

    @property
    def better_on_test(self) -> list[OptimizerResult]:
        """Those whose test loss is lower than that of the best on validation rows, beyond doubt.

        Their 95 % intervals lie apart. The lowest test loss comes first.
        """
        of_best = None if self.best is None else self.best.interval("test", "loss")
        if of_best is None:
            return []
        found = [
            (interval.mean, result.name, result)
            for result in self.results
            if result.is_judged
            and (interval := result.interval("test", "loss")) is not None
            and interval.high < of_best.low
        ]
        return [result for *_, result in sorted(found, key=lambda one: one[:2])]

    def seconds_to_target(self, result: OptimizerResult) -> float:
        """Return the median seconds that a run by itself takes to the target, misses infinite."""
        return result.median_epochs * self.steps_per_epoch * result.seconds_a_step


def best_losses(grid: Grid) -> dict[float, list[float]]:
    """Return the best losses of each rate's runs."""
    return {lr: [run.best_loss for run in runs] for lr, runs in grid.items()}


def solved_loss(grids: Mapping[str, Grid], task: AnyTask) -> float:
    """Return the loss up to which all losses count as equal: 1 % of the initial one for classes.

    The initial one is the validation loss after an epoch at the lowest rates. Below it, with a few
    rows that can all be classified correctly, ever higher rates would look ever better. 0 for
    regression, and for several targets.
    """
    if task == "several" or is_of_numbers(task):
        return 0.0
    firsts = [
        [run.validation_losses[0] for run in grid[min(grid)] if run.validation_losses]
        for grid in grids.values()
    ]
    return _SOLVED * max((statistics.median(losses) for losses in firsts if losses), default=0.0)


def sum_up(
    name: str,
    task: AnyTask,
    *,
    optimizers: Mapping[str, OptimizerConfig],
    grids: Mapping[str, Grid],
    runs: Mapping[str, Sequence[TrialResult]],
    target: float | None,
    steps_per_epoch: int,
    constant: ConstantBaseline | None = None,
) -> Comparison:
    """Summarise and test finished runs.

    `optimizers` have the chosen rate, where there is one. The target defaults to the median of the
    optimizers' typical losses, at least `solved_loss`.
    """
    validation_target, solved = target, solved_loss(grids, task)
    if target is None:
        losses = {
            key: [run.best_loss for run in finished] for key, finished in runs.items() if finished
        }
        validation_target = common_target(losses) if losses else None
        validation_target = None if validation_target is None else max(validation_target, solved)
    results = {
        key: OptimizerResult(
            key,
            optimizer,
            {lr: tuple(tuned) for lr, tuned in grids[key].items()},
            tuple(runs[key]),
            validation_target,
            solved,
        )
        for key, optimizer in optimizers.items()
    }
    judged = {key: result.losses for key, result in results.items() if result.is_judged}
    verdict = judge(judged) if len(judged) > 1 else None
    order = verdict.order if verdict is not None else tuple(judged)
    left_out = [key for key in results if key not in order]
    return Comparison(
        name=name,
        task=task,
        results=tuple(results[key] for key in [*order, *left_out]),
        verdict=verdict,
        target=validation_target,
        target_is_given=target is not None,
        steps_per_epoch=steps_per_epoch,
        constant=constant,
    )


def common_target(best_losses: Mapping[str, Sequence[float]]) -> float | None:
    """Return the median over candidates of the best loss that each one typically reached.

    `best_losses` are each candidate's, run by run, infinite where one diverged. Half of the
    candidates reach it, so that it is neither out of reach nor given away. None where most
    candidates have no typical loss.
    """
    typical = [statistics.median_high(losses) for losses in best_losses.values()]
    target = statistics.median_high(typical)
    return target if math.isfinite(target) else None


def epochs_to(target: float, losses: Sequence[float]) -> int | None:
    """Return the first epoch, from 1, whose loss is at most the target; None: it was missed."""
    return next((epoch for epoch, loss in enumerate(losses, 1) if loss <= target), None)
