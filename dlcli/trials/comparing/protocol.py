"""The rule of `dlcli compare-optimizers`: docs/guides/compare-optimizers.md in code.

Every stage follows from the results of those before it, so a comparison that was interrupted comes
to the same trials again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from dlcli.config.sections.compare import MAX_TUNING_SEEDS, CompareConfig
from dlcli.optimizers.base import OptimizerConfig
from dlcli.schedules.base import ScheduleConfig
from dlcli.targets.task import AnyTask
from dlcli.trials.comparing.comparison import Comparison, best_losses, solved_loss, sum_up
from dlcli.trials.comparing.learning_rate_grid import (
    Choice,
    choose,
    edges_to_move,
    grown,
    rates_around,
)
from dlcli.trials.constant_baseline import ConstantBaseline
from dlcli.trials.results import Results, TrialResult
from dlcli.trials.rule import Rule, Stage
from dlcli.trials.trial import Trial

Grids = Mapping[str, list[float]]  # each optimizer's learning rates


@dataclass
class ComparisonProtocol(Rule[Comparison]):
    """A fair comparison of optimizers on one config."""

    name: str  # the config's
    seed: int  # the config's
    task: AnyTask
    optimizers: Mapping[str, OptimizerConfig]
    settings: CompareConfig
    steps_per_epoch: int
    results: Results
    constant: ConstantBaseline | None = None  # on the validation rows
    schedule: ScheduleConfig | None = None  # the config's; None: a constant rate
    _trials: dict[tuple[OptimizerConfig, int], Trial] = field(default_factory=dict)  # made so far

    def __post_init__(self) -> None:
        lrs = self.settings.lrs
        self.grids: Grids = {  # as large as they are by now
            name: sorted(lrs) if lrs else rates_around(optimizer.lr)
            for name, optimizer in self.optimizers.items()
        }

    @property
    def tuning_seeds(self) -> list[int]:
        """The seeds on which rates are chosen."""
        return self._seeds(1, self.settings.tuning_seeds)

    @property
    def seeds(self) -> list[int]:
        """The seeds on which optimizers are judged, with the rates chosen: all of them others."""
        return self._seeds(1 + MAX_TUNING_SEEDS, self.settings.seeds)

    def stages(self) -> Iterator[Stage]:
        """Yield the tuning stage, stages for grids that grow, and the judging stage."""
        yield self._tuning("choosing rates")
        while edges := self._edges():
            for edge in edges:
                self.grids = {name: grown(lrs, edge) for name, lrs in self.grids.items()}
            both = len(edges) > 1
            which = "lower and higher" if both else "higher" if edges[0] > 0 else "lower"
            yield self._tuning(f"{which} rates for all")
        yield self._judging()

    @property
    def choices(self) -> dict[str, Choice | None]:
        """Each optimizer's rate by the runs that are done; None where all diverged."""
        tuned = self._tuned()
        solved = solved_loss(tuned, self.task)
        return {name: choose(best_losses(grid), solved=solved) for name, grid in tuned.items()}

    def conclude(self) -> Comparison:
        """Return what all trials show, once all stages are done."""
        return sum_up(
            self.name,
            self.task,
            optimizers=self._chosen(),
            grids=self._tuned(),
            runs={
                name: self._found(optimizer, self.seeds, is_evaluated=True)
                for name, optimizer in self._chosen().items()
            },
            target=self.settings.target,
            steps_per_epoch=self.steps_per_epoch,
            constant=self.constant,
        )

    def names_of(self, trial: Trial) -> list[str]:
        """Return the names of the optimizers that a trial is of: several, where they are the same.

        Nothing for a trial that no stage has asked for.
        """
        return [
            name
            for name, optimizer in self.optimizers.items()
            for lr in self.grids[name]
            if self.trial(with_rate(optimizer, lr), trial.seed) == trial
        ]

    def trial(self, optimizer: OptimizerConfig, seed: int) -> Trial:
        """Return the trial of an optimizer, with its rate, on a seed."""
        key = (optimizer, seed)
        if key not in self._trials:
            self._trials[key] = optimizer_trial(optimizer, seed, self.schedule)
        return self._trials[key]

    def _seeds(self, first: int, number: int) -> list[int]:
        return [(self.seed + first + index) % 2**63 for index in range(number)]

    def _tuning(self, title: str) -> Stage:
        trials = [
            self.trial(with_rate(self.optimizers[name], lr), seed)
            for name, lrs in self.grids.items()
            for lr in lrs
            for seed in self.tuning_seeds
        ]
        return Stage(title, tuple(dict.fromkeys(trials)))

    def _judging(self) -> Stage:
        choices = self.choices
        trials = [
            self.trial(optimizer, seed)
            for name, optimizer in self._chosen().items()
            if choices[name] is not None
            for seed in self.seeds
        ]
        return Stage("judging", tuple(dict.fromkeys(trials)), is_evaluated=True)

    @property
    def max_growths(self) -> int:
        """How many more rates each grid may get."""
        num_rates = len(next(iter(self.grids.values())))
        return max(0, self.settings.most_lrs - num_rates) if num_rates > 1 else 0

    def _edges(self) -> list[int]:
        """Return where the grids have to grow; nowhere once they have reached their limit."""
        edges = edges_to_move(self.choices.values())
        return edges if len(edges) <= self.max_growths else []

    def _chosen(self) -> dict[str, OptimizerConfig]:
        chosen = dict(self.optimizers)
        for name, choice in self.choices.items():
            if choice is not None:
                chosen[name] = with_rate(chosen[name], choice.lr)
        return chosen

    def _tuned(self) -> dict[str, dict[float, list[TrialResult]]]:
        return {
            name: {
                lr: self._found(
                    with_rate(self.optimizers[name], lr), self.tuning_seeds, is_evaluated=False
                )
                for lr in lrs
            }
            for name, lrs in self.grids.items()
        }

    def _found(
        self, optimizer: OptimizerConfig, seeds: Sequence[int], *, is_evaluated: bool
    ) -> list[TrialResult]:
        found = [
            self.results.find(self.trial(optimizer, seed), is_evaluated=is_evaluated)
            for seed in seeds
        ]
        return [result for result in found if result is not None]


def with_rate(optimizer: OptimizerConfig, lr: float) -> OptimizerConfig:
    """Return an optimizer with another learning rate."""
    return optimizer.model_copy(update={"lr": lr})


def optimizer_trial(
    optimizer: OptimizerConfig, seed: int, schedule: ScheduleConfig | None = None
) -> Trial:
    """Return the trial of an optimizer, with its rate, on a seed.

    Of the config's `schedule`, it leaves out what the optimizer can't use.
    """
    changes: dict[str, JsonValue] = {"optimizer": optimizer.model_dump(mode="json")}
    if schedule is not None and (acting := optimizer.schedule_that_acts(schedule)) != schedule:
        changes["schedule"] = acting.model_dump(mode="json")
    return Trial(changes=changes, seed=seed)
