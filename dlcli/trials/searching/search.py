"""The rule of `dlcli tune`: docs/guides/tuning.md in code.

Rounds of trials. With successive halving, a round holds settings that go on with more epochs and,
in the places of those that don't, newcomers (Li et al., *A system for massively parallel
hyperparameter tuning*, 2020, arXiv:1810.05934, whose rule for going on is taken round by round).
A trial that goes on is trained from its start, for more epochs, as `dlcli train` would.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from dlcli.config.sections.tune import TuneConfig
from dlcli.metrics import is_higher_better
from dlcli.seeds import derive_seed
from dlcli.trials.results import Figures, Results, TrialResult
from dlcli.trials.rule import Rule, Stage
from dlcli.trials.searching.rounds import Refused, Round, Rounds
from dlcli.trials.searching.sampling import Observation, Sampler
from dlcli.trials.searching.space import Settings, Space, identity
from dlcli.trials.trial import Trial

EPOCHS = "training.epochs"
_MIN_EPOCHS = 3  # of the shortest trials
_MAX_RUNGS = 4
_NUM_ROUNDS = 4  # of newcomers, where later ones depend on earlier ones
_MIN_WIDTH = 8
_ENOUGH = 10  # settings that were tried for so many epochs, for a sampler to learn from
_MAX_DRAWN = 20  # proposals for each setting that is wanted: most of the others are refused


def choose_rungs(epochs: int, trials: int, factor: float) -> tuple[int, ...]:
    """Return the epochs of short trials and of full ones, rising.

    At least `factor` of the trials come to the last rung.
    """
    rungs = [epochs]
    while len(rungs) < _MAX_RUNGS and trials >= factor ** (len(rungs) + 1):
        shorter = round(epochs / factor ** len(rungs))
        if not _MIN_EPOCHS <= shorter < rungs[0]:
            break
        rungs.insert(0, shorter)
    return tuple(rungs)


def choose_width(config: TuneConfig, num_rungs: int) -> int:
    """Return the trials of a round: all, where nothing depends on those before."""
    if num_rungs == 1 and config.sampler != "tpe" and config.time is None:
        return config.trials + 1
    factor = 1.0 if config.halving is None else config.halving.factor ** (num_rungs - 1)
    return max(_MIN_WIDTH, math.ceil(factor), math.ceil(config.trials / _NUM_ROUNDS))


@dataclass(frozen=True)
class Entry:
    """Settings that were tried for so many epochs."""

    settings: Settings  # none: the config as it is
    number: int  # in the order in which settings were sampled; 0: the config as it is
    rung: int
    epochs: int  # at most
    results: tuple[TrialResult, ...]  # of each fold; one where the data are not folded
    figure: float | None  # the metric on the validation rows; None where a trial diverged
    value: float  # the same, lower is better, infinite where a trial diverged

    @property
    def is_sound(self) -> bool:
        """Whether no trial diverged."""
        return all(result.is_sound for result in self.results)

    @property
    def best_epochs(self) -> list[int]:
        """The best epoch of each trial."""
        return [result.best_epoch for result in self.results]

    @property
    def blocks(self) -> tuple[float | None, ...] | None:
        """The metric on blocks of all folds' validation rows; None where a trial diverged."""
        found = [result.blocks for result in self.results]
        return tuple(one for blocks in found for one in blocks or ()) if all(found) else None

    def mean(self, figure: str) -> float | None:
        """Return the mean over the folds of a figure on their validation rows."""
        values = [_validation(result).get(figure) for result in self.results]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None


@dataclass
class Search(Rule[list[Entry]]):
    """A search over a space, from the config as it is."""

    config: TuneConfig
    space: Space
    sampler: Sampler
    seed: int  # that of the config
    rungs: tuple[int, ...]
    width: int  # of a search that begins; one that goes on keeps its own
    results: Results
    rounds: Rounds
    refusal: Callable[[Trial], str | None]  # why a trial makes no sound config
    tried: list[Settings] = field(default_factory=list)  # in the order of sampling
    refused: list[Refused] = field(default_factory=list)
    _requested: list[list[int]] = field(default_factory=list)  # by rung: numbers of settings
    _num_drawn: int = 0

    def stages(self) -> Iterator[Stage]:
        """Yield round after round, until all settings are tried, or the time is used up."""
        self._requested = [[] for _ in self.rungs]
        number = 0
        while True:
            going_on = self._going_on()
            begun = self.rounds.find_round(number)
            if begun is None:
                if self._is_time_up(number):
                    return
                begun = self._begin(number, self.width - len(going_on))
                if not begun.newcomers and not going_on:
                    going_on = self._last_hope()
                if begun.newcomers or going_on:
                    self.rounds.keep_round(begun)
            elif not begun.newcomers and not going_on:
                going_on = self._last_hope()
            self.width, self._num_drawn = begun.width, begun.num_drawn
            self.refused += begun.refused
            newcomers = range(len(self.tried), len(self.tried) + len(begun.newcomers))
            self.tried += begun.newcomers
            trials = [(rung, one) for rung, one in going_on] + [(0, one) for one in newcomers]
            if not trials:
                return
            for rung, one in trials:
                self._requested[rung].append(one)
            yield Stage(
                f"round {number + 1}",
                tuple(trial for rung, one in trials for trial in self._trials(one, rung)),
                is_evaluated=True,
            )
            number += 1

    @property
    def shortfall(self) -> str | None:
        """Why fewer settings were tried than were asked for; None: as many were."""
        num_tried, wanted = sum(map(bool, self.tried)), self.config.trials
        if num_tried >= wanted:
            return None
        number = self.space.num_settings
        if number is not None and number - len(self.refused) <= num_tried:
            return f"the space has {number:,} settings"
        spent = "the time was used up (tune.time)"
        return "nearly all sampled settings were refused" if self.config.time is None else spent

    def conclude(self) -> list[Entry]:
        """Return what was tried, the best first: by the epochs that it got, then by its metric."""
        entries = [
            entry
            for rung, numbers in enumerate(self._requested)
            for number in numbers
            if (entry := self._entry(number, rung)) is not None
        ]
        return sorted(entries, key=lambda entry: (-entry.rung, entry.value, entry.number))

    def _trials(self, number: int, rung: int) -> tuple[Trial, ...]:
        """Return the trials of settings: one on the config's seed, or one for each fold.

        Those of folds each have a seed of their own, as an ensemble gains by networks that differ;
        the config as it is has the seeds that `dlcli train --folds` would take.
        """
        trial = self.trial(self.tried[number], rung)
        if self.config.folds is None:
            return (trial,)
        num_folds = self.config.folds
        seeds = (
            derive_seed(self.seed, "trial", number * num_folds + fold) for fold in range(num_folds)
        )
        return tuple(
            trial.model_copy(update={"fold": fold, "seed": seed}) for fold, seed in enumerate(seeds)
        )

    def trial(self, settings: Settings, rung: int) -> Trial:
        """Return the trial of settings, for the epochs of a rung."""
        is_full = rung == len(self.rungs) - 1
        epochs: dict[str, JsonValue] = {} if is_full else {EPOCHS: self.rungs[rung]}
        return Trial(changes={**settings, **epochs}, seed=self.seed)

    def _entry(self, number: int, rung: int) -> Entry | None:
        trials = self._trials(number, rung)
        found = [self.results.find(trial, is_evaluated=True) for trial in trials]
        results = tuple(result for result in found if result is not None)
        if len(results) < len(trials):
            return None
        settings, epochs, metric = self.tried[number], self.rungs[rung], self.config.metric
        entry = Entry(settings, number, rung, epochs, results, None, math.inf)
        figure = entry.mean(metric)
        if figure is None:
            return entry
        value = -figure if is_higher_better(metric) else figure
        return replace(entry, figure=figure, value=value)

    def _ranked(self, rung: int) -> list[Entry]:
        """Return what was tried for the epochs of a rung, the best first."""
        entries = [self._entry(number, rung) for number in self._requested[rung]]
        found = [entry for entry in entries if entry is not None]
        return sorted(found, key=lambda entry: (entry.value, entry.number))

    def _going_on(self) -> list[tuple[int, int]]:
        """Return the next rung and the number of settings that go on, the longest trials first."""
        if self.config.halving is None:
            return []
        found = []
        for rung in reversed(range(len(self.rungs) - 1)):
            ranked = self._ranked(rung)
            best = ranked[: int(len(ranked) / self.config.halving.factor)]
            found += [
                (rung + 1, entry.number)
                for entry in best
                if math.isfinite(entry.value) and entry.number not in self._requested[rung + 1]
            ]
        return found

    def _last_hope(self) -> list[tuple[int, int]]:
        """Return the best of the longest trials, where none has come to the last rung."""
        for rung in reversed(range(len(self.rungs))):
            sound = [entry for entry in self._ranked(rung) if math.isfinite(entry.value)]
            if sound:
                is_last = rung == len(self.rungs) - 1
                return [] if is_last else [(rung + 1, sound[0].number)]
        return []

    def _is_time_up(self, number: int) -> bool:
        """Whether another round, as long as the last one, would end too late."""
        if self.config.time is None or not number:
            return False
        seconds = [self.rounds.seconds(before) for before in range(number)]
        return sum(seconds) + seconds[-1] > self.config.time

    def _begin(self, number: int, room: int) -> Round:
        """Sample newcomers: settings that are new, and whose config is sound."""
        known = {identity(one) for one in self.tried if one}
        known |= {identity(one.settings) for one in self.refused}
        lacking = self.config.trials - sum(map(bool, self.tried))
        if self.space.num_settings is not None:
            lacking = min(lacking, self.space.num_settings - len(known))
        newcomers: list[dict[str, JsonValue]] = [] if number else [{}]  # the config as it is
        refused: list[Refused] = []
        drawn = 0
        wanted = max(0, min(room - len(newcomers), lacking)) + len(newcomers)
        observed = self._observations() if wanted else []
        while (missing := wanted - len(newcomers)) > 0 and drawn < _MAX_DRAWN * wanted:
            for settings in self.sampler.propose(self._num_drawn + drawn, missing, observed):
                drawn += 1
                if identity(settings) in known:
                    continue
                known.add(identity(settings))
                reason = self.refusal(self.trial(settings, 0))
                if reason is None:
                    newcomers.append(settings)
                else:
                    refused.append(Refused(settings=settings, reason=reason))
                    observed.append(Observation(settings, None))
        return Round(
            number=number,
            width=self.width,
            num_drawn=self._num_drawn + drawn,
            newcomers=tuple(newcomers),
            refused=tuple(refused),
        )

    def _observations(self) -> list[Observation]:
        """Return what a sampler learns from: how its settings did at the most epochs of enough."""
        rungs = [self._ranked(rung) for rung in range(len(self.rungs))]
        known = next((some for some in reversed(rungs) if len(some) >= _ENOUGH), rungs[0])
        observed = [
            Observation(entry.settings, entry.value if math.isfinite(entry.value) else None)
            for entry in sorted(known, key=lambda entry: entry.number)
            if entry.settings
        ]
        return observed + [Observation(one.settings, None) for one in self.refused]


def _validation(result: TrialResult) -> Figures:
    return (result.figures or {}).get("validation", {})
