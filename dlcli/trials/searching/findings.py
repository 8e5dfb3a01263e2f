"""What a search found: the settings it tried, which mattered, and how good the best ones are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dlcli.config.sections.tune import TuneConfig
from dlcli.metrics import is_higher_better
from dlcli.trials.comparing.verdict import Interval, mean_interval
from dlcli.trials.results import Figures, HeldOutPart, TrialResult
from dlcli.trials.searching.importance import Importance, importances
from dlcli.trials.searching.optimism import Optimism, selection_optimism
from dlcli.trials.searching.rounds import Refused
from dlcli.trials.searching.search import Entry, Search
from dlcli.trials.searching.space import Space
from dlcli.trials.trial import Trial

NUM_FRESH_SEEDS = 5
MAX_MEMBERS = 8  # settings that an ensemble of the best is chosen from
MAX_ON_FOLDS = 24  # the same, where folds judge: their networks are there already


@dataclass(frozen=True)
class Judged:
    """Settings on seeds that the search has not seen, a run each."""

    runs: tuple[TrialResult, ...]

    def values(self, part: HeldOutPart, figure: str) -> list[float]:
        """Return a figure of each run; nothing where a run has none."""
        found = [_figures(run, part).get(figure) for run in self.runs]
        return [] if None in found else [value for value in found if value is not None]

    def interval(self, part: HeldOutPart, figure: str) -> Interval | None:
        """Return a figure's mean over the runs; None where there is none."""
        values = self.values(part, figure)
        return mean_interval(values) if values else None

    @property
    def names(self) -> list[tuple[HeldOutPart, str]]:
        """The parts and figures that there are, in their order."""
        found: dict[tuple[HeldOutPart, str], None] = {}
        for run in self.runs:
            for part, figures in (run.figures or {}).items():
                found |= dict.fromkeys((part, figure) for figure in figures)
        return list(found)


@dataclass(frozen=True)
class EnsembleOfBest:
    """The mean of the networks of several of the best settings."""

    shares: Mapping[int, float]  # by the number of the settings; they add up to 1
    figures: Mapping[HeldOutPart, Figures]  # the shares were found on the validation rows
    num_networks: int


@dataclass(frozen=True)
class Findings:
    """All that a search found."""

    name: str
    tune: TuneConfig
    space: Space
    rungs: tuple[int, ...]
    entries: tuple[Entry, ...]  # the best first
    refused: tuple[Refused, ...]
    num_tried: int  # settings, the config as it is apart
    shortfall: str | None  # why these were not as many as asked for
    judged_best: Judged | None = None
    judged_config: Judged | None = None  # the config as it is, on the same seeds
    ensemble: EnsembleOfBest | None = None

    @property
    def best(self) -> Entry | None:
        """The best settings; None where all trials diverged."""
        first = self.entries[0] if self.entries else None
        return first if first is not None and math.isfinite(first.value) else None

    @property
    def configured(self) -> Entry | None:
        """The config as it is, for the most epochs that it got."""
        return next((entry for entry in self.entries if not entry.settings), None)

    @property
    def is_higher_better(self) -> bool:
        """In which direction the metric gets better."""
        return is_higher_better(self.tune.metric)

    @cached_property
    def importances(self) -> tuple[Importance, ...] | str:
        """What each setting explains; or why that can't be told."""
        return importances(self.space, self.entries)

    @cached_property
    def optimism(self) -> Optimism | str:
        """How much better the best settings look than they are; or why that can't be told."""
        return selection_optimism(self.entries, self.tune.metric)

    def gain(self, part: HeldOutPart) -> Interval | None:
        """Return the metric of the best less that of the config as it is, on the same seeds."""
        if self.judged_best is None or self.judged_config is None:
            return None
        metric = self.tune.metric
        pairs = [one.values(part, metric) for one in (self.judged_best, self.judged_config)]
        if not all(pairs):
            return None
        return mean_interval([best - config for best, config in zip(*pairs, strict=True)])


def sum_up(name: str, search: Search, judged: Mapping[int, Sequence[TrialResult]]) -> Findings:
    """Sum up a search, and the runs on fresh seeds by the number of their settings."""
    entries = tuple(search.conclude())
    by_number = {number: Judged(tuple(runs)) for number, runs in judged.items()}
    return Findings(
        name=name,
        tune=search.config,
        space=search.space,
        rungs=search.rungs,
        entries=entries,
        refused=tuple(search.refused),
        num_tried=sum(map(bool, search.tried)),
        shortfall=search.shortfall,
        judged_best=by_number.get(entries[0].number) if entries else None,
        judged_config=by_number.get(0),
    )


def fresh_trials(search: Search, entries: Sequence[Entry]) -> dict[int, list[Trial]]:
    """Return trials of settings for all epochs on fresh seeds, by the number of the settings."""
    seeds = [(search.seed + 1 + index) % 2**63 for index in range(NUM_FRESH_SEEDS)]
    last = len(search.rungs) - 1
    return {
        entry.number: [
            search.trial(entry.settings, last).model_copy(update={"seed": seed}) for seed in seeds
        ]
        for entry in entries
    }


def best_settings(entries: Sequence[Entry]) -> list[Entry]:
    """Return the best settings of those that were tried for the most epochs."""
    last = max((entry.rung for entry in entries), default=0)
    sound = [entry for entry in entries if entry.rung == last and math.isfinite(entry.value)]
    return sound[:MAX_MEMBERS]


def best_of_all(entries: Sequence[Entry]) -> list[Entry]:
    """Return the best of what was tried for any number of epochs, the best first.

    What is not among them never will be again, whatever else is tried.
    """
    sound = [entry for entry in entries if math.isfinite(entry.value)]
    return sorted(sound, key=lambda entry: (entry.value, entry.number, entry.rung))[:MAX_ON_FOLDS]


def member_trials(search: Search, entries: Sequence[Entry]) -> tuple[Trial, ...]:
    """Return a trial of each of the best settings, for all epochs, on a fresh seed of its own."""
    last, first = len(search.rungs) - 1, search.seed + 1 + NUM_FRESH_SEEDS
    return tuple(
        search.trial(entry.settings, last).model_copy(update={"seed": (first + index) % 2**63})
        for index, entry in enumerate(best_settings(entries))
    )


def _figures(run: TrialResult, part: HeldOutPart) -> Figures:
    return (run.figures or {}).get(part, {})
