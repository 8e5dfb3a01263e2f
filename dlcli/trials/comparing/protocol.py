"""Which runs a fair comparison needs, and when: docs/guides/compare-optimizers.md in code.

Every stage follows from the results of those before, so a comparison that was interrupted comes to
the same runs again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from dlcli.config.optimizers import Optimizer
from dlcli.config.sections.compare import MAX_TUNING_SEEDS, CompareConfig
from dlcli.config.sections.data import Task
from dlcli.trials.comparing.comparison import Comparison, best_losses, solved_loss, sum_up
from dlcli.trials.comparing.learning_rate_grid import (
    Choice,
    choose,
    edges_to_move,
    grown,
    rates_around,
)
from dlcli.trials.comparing.results import TrialResult

Grids = Mapping[str, list[float]]  # each optimizer's learning rates


class Results(Interface):
    """Where finished runs are found."""

    def find(self, optimizer: Optimizer, seed: int, *, is_judged: bool) -> TrialResult | None:
        """Return a run, with figures if it `is_judged`; None while it isn't done."""
        ...


@dataclass(frozen=True)
class Stage:
    """Runs that can be done at once, some of which may be done already."""

    title: str
    runs: tuple[tuple[Optimizer, int], ...]  # optimizer with its rate, and seed
    is_judged: bool  # their figures on held-out rows are wanted


@dataclass
class Protocol:
    """A comparison's rules on one config."""

    optimizers: Mapping[str, Optimizer]
    settings: CompareConfig
    seed: int  # the config's
    task: Task
    results: Results

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
        """Yield what is to be done, a stage at a time; the next is asked for when it is done."""
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

    def conclude(self, name: str, steps_per_epoch: int) -> Comparison:
        """Return what all the runs say, once all stages are done."""
        return sum_up(
            name,
            self.task,
            optimizers=self._chosen(),
            grids=self._tuned(),
            runs={
                name: self._found(optimizer, self.seeds, is_judged=True)
                for name, optimizer in self._chosen().items()
            },
            target=self.settings.target,
            steps_per_epoch=steps_per_epoch,
        )

    def names_of(self, optimizer: Optimizer) -> list[str]:
        """Return whose run one is: several, where optimizers are the same."""
        return [
            name
            for name, own in self.optimizers.items()
            if with_rate(own, optimizer.lr) == optimizer
        ]

    def _seeds(self, first: int, number: int) -> list[int]:
        return [(self.seed + first + index) % 2**63 for index in range(number)]

    def _tuning(self, title: str) -> Stage:
        runs = [
            (with_rate(self.optimizers[name], lr), seed)
            for name, lrs in self.grids.items()
            for lr in lrs
            for seed in self.tuning_seeds
        ]
        return Stage(title, tuple(dict.fromkeys(runs)), is_judged=False)

    def _judging(self) -> Stage:
        choices = self.choices
        runs = [
            (optimizer, seed)
            for name, optimizer in self._chosen().items()
            if choices[name] is not None
            for seed in self.seeds
        ]
        return Stage("judging", tuple(dict.fromkeys(runs)), is_judged=True)

    @property
    def most_growths(self) -> int:
        """How many rates more each grid may come to have."""
        num_rates = len(next(iter(self.grids.values())))
        return max(0, self.settings.most_lrs - num_rates) if num_rates > 1 else 0

    def _edges(self) -> list[int]:
        """Return where the grids have to grow; nowhere once they are as large as may be."""
        edges = edges_to_move(self.choices.values())
        return edges if len(edges) <= self.most_growths else []

    def _chosen(self) -> dict[str, Optimizer]:
        return {
            name: self.optimizers[name] if own is None else with_rate(self.optimizers[name], own.lr)
            for name, own in self.choices.items()
        }

    def _tuned(self) -> dict[str, dict[float, list[TrialResult]]]:
        return {
            name: {
                lr: self._found(
                    with_rate(self.optimizers[name], lr), self.tuning_seeds, is_judged=False
                )
                for lr in lrs
            }
            for name, lrs in self.grids.items()
        }

    def _found(
        self, optimizer: Optimizer, seeds: Sequence[int], *, is_judged: bool
    ) -> list[TrialResult]:
        found = [self.results.find(optimizer, seed, is_judged=is_judged) for seed in seeds]
        return [result for result in found if result is not None]


def with_rate(optimizer: Optimizer, lr: float) -> Optimizer:
    """Return an optimizer with another learning rate."""
    return optimizer.model_copy(update={"lr": lr})
