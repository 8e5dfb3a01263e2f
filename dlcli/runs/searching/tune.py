"""`dlcli tune`: settings searched for a config's problem.

trials/searching/search.py says which trials; here each is executed once, whatever interrupts.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlcli.config.config import ReportKind
from dlcli.errors import ConfigError, DivergedError
from dlcli.runs.comparison.setup import build_fold_resolver, build_resolver
from dlcli.runs.comparison.stages import OpenTrials, Stopped, open_trials
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import prepare
from dlcli.runs.searching.ensemble import EnsembleTrials
from dlcli.runs.searching.fold_networks import FoldNetworks
from dlcli.runs.searching.ledger import SearchLedger
from dlcli.runs.searching.resuming import check_resumable
from dlcli.runs.searching.search_folder import write_search
from dlcli.runs.searching.searchable import Searchable
from dlcli.training.device import Placement
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import Backend
from dlcli.trials.running.executor import Event as ExecutorEvent
from dlcli.trials.running.executor import Executor
from dlcli.trials.running.step_time import measure_step_times
from dlcli.trials.searching.evaluation import NUM_BLOCKS, SearchEvaluator
from dlcli.trials.searching.findings import (
    Findings,
    fresh_trials,
    member_trials,
    sum_up,
)
from dlcli.trials.searching.samplers import build_sampler
from dlcli.trials.searching.search import EPOCHS, Entry, Search, choose_rungs, choose_width
from dlcli.trials.searching.space import Space
from dlcli.trials.setup import SharedSetup, TrialResolver
from dlcli.trials.trial import Trial

_ROUNDS_IN_TIME = 8  # that a limited time should have room for


@dataclass(frozen=True)
class SearchStarted:
    """All checks passed; the trials start, or continue."""

    searchable: Searchable
    placement: Placement
    search: Search
    seconds_per_setting: float  # about, at most, for all epochs, by itself, all folds together
    folder: RunFolder
    num_finished: int  # trials that were finished before
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SearchFinished:
    """All trials are finished; the folder holds everything but the page."""

    findings: Findings
    folder: RunFolder
    report: ReportKind | None  # the page to make


Event = SearchStarted | ExecutorEvent | SearchFinished | Stopped


def tune(
    searchable: Searchable,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    backend: Backend | None = None,
) -> Generator[Event, None, None]:
    """Search, yielding events; the last is `SearchFinished` or `Stopped`.

    With `resume`, the search in `run_dir` goes on as it was begun. Without a `backend`, processes
    of this machine execute the trials. Raises DlcliErrors; DivergedError where all trials diverge.
    """
    prepared, folds = searchable.prepared, searchable.folds
    first = prepared if folds is None else prepare(folds.loaded, folds.dataset(0))

    def build(placement: Placement) -> TrialResolver:
        if folds is None:
            return build_resolver(prepared, placement, has_test=False)
        return build_fold_resolver(folds, first, placement, keeps_rows=True)

    with open_trials(
        prepared, build, check_resumable, run_dir=run_dir, resume=resume, backend=backend
    ) as opened:
        networks = None
        if folds is not None:
            folder, finished = opened.folder, opened.finished
            networks = FoldNetworks(folder, first, folds, opened.resolver, finished)
        yield from _SearchRun(searchable, opened, networks).do()


@dataclass
class _SearchRun:
    """A search that is being executed."""

    searchable: Searchable
    opened: OpenTrials
    networks: FoldNetworks | None  # where folds judge

    def __post_init__(self) -> None:
        prepared, tune = self.searchable.prepared, self.searchable.tune
        self.config = config = prepared.config
        space = Space.of(self.searchable.space)
        self.folder, self.finished = self.opened.folder, self.opened.finished
        self.ledger = SearchLedger(self.folder)
        rungs, self.notes = self._rungs()
        self.executor = self._executor(self.opened.resolver, self.networks)
        self.search = Search(
            config=tune,
            space=space,
            sampler=build_sampler(tune.sampler, space, config.seed),
            seed=config.seed,
            rungs=rungs,
            width=choose_width(tune, len(rungs)),
            results=self.finished,
            rounds=self.ledger,
            refusal=self._refusal,
        )

    def do(self) -> Iterator[Event]:
        """Execute round after round, judge the best on fresh seeds, and sum up."""
        yield self._start()
        for number, stage in enumerate(self.search.stages()):
            begun = time.perf_counter()
            yield from self.opened.execute(self.executor, stage)
            if signal := self.opened.received():
                yield self.opened.stopped(signal)
                return
            if self.networks is not None:
                self.networks.prune(self.search.conclude())
            self.ledger.end_round(number, time.perf_counter() - begun)
        entries = self.search.conclude()
        best = sum_up(self.config.name, self.search, {}).best
        if best is None:
            raise self._all_diverged()
        configured = [entry for entry in entries if not entry.settings][:1]
        trials = fresh_trials(
            self.search, list({e.number: e for e in [best, *configured]}.values())
        )
        fresh = tuple(trial for some in trials.values() for trial in some)
        resolver = build_resolver(self.searchable.prepared, self.opened.placement)
        judging = self._executor(resolver)
        yield from self.opened.execute(judging, Stage("fresh seeds", fresh, is_evaluated=True))
        members = self.networks or self._members(resolver, entries)
        if isinstance(members, EnsembleTrials) and self.opened.received() is None:
            executor = self._executor(resolver, members)
            stage = Stage("ensemble of the best", members.trials, is_evaluated=True)
            yield from self.opened.execute(executor, stage)
        if signal := self.opened.received():
            yield self.opened.stopped(signal)
            return
        self.finished.sync()
        judged = {number: self._found(some) for number, some in trials.items()}
        ensemble = members.conclude(entries)
        findings = sum_up(self.config.name, self.search, judged)
        findings = replace(findings, ensemble=ensemble)
        write_search(self.folder, findings, self.searchable.prepared)
        kind = self.config.report
        yield SearchFinished(findings, self.folder, None if isinstance(kind, bool) else kind)

    def _members(self, resolver: TrialResolver, entries: Sequence[Entry]) -> EnsembleTrials:
        prepared, trials = self.searchable.prepared, member_trials(self.search, entries)
        return EnsembleTrials(self.folder, prepared, resolver, self.finished, trials)

    def _executor(
        self, resolver: TrialResolver, members: EnsembleTrials | FoldNetworks | None = None
    ) -> Executor:
        def evaluator(setup: SharedSetup) -> SearchEvaluator:
            num_blocks = NUM_BLOCKS // (self.searchable.tune.folds or 1)
            metric, seed = self.searchable.tune.metric, self.config.seed
            return SearchEvaluator(setup, metric, seed, max(1, num_blocks))

        return Executor(
            resolver,
            members or self.finished,
            self.opened.backend,
            keep=None if members is None else members.keep,
            evaluator=evaluator,
        )

    def _found(self, trials: Sequence[Trial]) -> list[TrialResult]:
        found = [self.finished.find(trial, is_evaluated=True) for trial in trials]
        return [result for result in found if result is not None]

    @property
    def _first_fold(self) -> int | None:
        return None if self.searchable.folds is None else 0

    def _refusal(self, trial: Trial) -> str | None:
        """Return why a trial's changes make no sound config; None: they do."""
        try:
            self.opened.resolver.resolve(trial.model_copy(update={"fold": self._first_fold}))
        except ConfigError as error:
            return "; ".join(
                f"{problem.path}: {problem.message}" for problem in error.problems
            ) or str(error)
        return None

    def _rungs(self) -> tuple[tuple[int, ...], list[str]]:
        """Return the epochs of short and full trials; short ones only where the config has them."""
        tune, epochs = self.searchable.tune, self.config.training.epochs
        if tune.halving is None:
            return (epochs,), []
        notes = []
        rungs = list(choose_rungs(epochs, tune.trials, tune.halving.factor))
        while len(rungs) > 1:
            trial = Trial(changes={EPOCHS: rungs[0]}, seed=0)
            if (reason := self._refusal(trial)) is None:
                break
            notes.append(f"no trials of {rungs.pop(0)} epochs, as the config has none: {reason}")
        if len(rungs) == 1:
            notes.append(
                "tune.halving does nothing: that takes more training.epochs or more tune.trials"
            )
        return tuple(rungs), notes

    def _start(self) -> SearchStarted:
        """Measure the time of a trial, and fit the rounds into the time that there is."""
        trial = self.search.trial({}, len(self.search.rungs) - 1)
        longest = self.opened.resolver.resolve(trial.model_copy(update={"fold": self._first_fold}))
        [step_seconds] = measure_step_times([longest])
        seconds = longest.setup.max_steps * step_seconds * (self.searchable.tune.folds or 1)
        limit = self.searchable.tune.time
        if limit is not None and self.ledger.find_round(0) is None:
            share = sum(self.search.rungs) / self.search.rungs[-1] / len(self.search.rungs)
            trials_a_second = self.opened.backend.num_cores / max(seconds * share, 1e-9)
            room = int(limit / _ROUNDS_IN_TIME * trials_a_second)
            self.search.width = max(self.opened.backend.num_cores, min(self.search.width, room))
        return SearchStarted(
            self.searchable,
            self.opened.placement,
            self.search,
            seconds,
            self.folder,
            len(self.finished),
            (*self.notes, *self.opened.notes),
        )

    def _all_diverged(self) -> DivergedError:
        return DivergedError(
            "every trial diverged: there is nothing to choose from. Try lower learning rates "
            "(tune.space), training.gradient_clip_norm: 1, or look at the data's scale "
            f"(data.scale). The trials are in {self.folder.runs}"
        )
