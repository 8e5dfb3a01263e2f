"""`dlcli tune`: settings searched for a config's problem.

trials/searching/search.py says which trials; here each is executed once, whatever interrupts.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from dlcli.config.config import ReportKind
from dlcli.errors import ConfigError, DivergedError
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.comparison.setup import build_fold_resolver, build_resolver, num_processes
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, write_config
from dlcli.runs.preparation import prepare
from dlcli.runs.searching.ensemble import EnsembleTrials
from dlcli.runs.searching.fold_networks import FoldNetworks
from dlcli.runs.searching.ledger import SearchLedger
from dlcli.runs.searching.resuming import check_resumable
from dlcli.runs.searching.search_folder import write_search
from dlcli.runs.searching.searchable import Searchable
from dlcli.runs.training.signals import Received, SignalName, stop_signals
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.trials.results import TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import Backend, LocalProcesses
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


@dataclass(frozen=True)
class SearchStopped:
    """A signal came; finished trials are kept."""

    signal: SignalName
    num_finished: int
    folder: RunFolder


Event = SearchStarted | ExecutorEvent | SearchFinished | SearchStopped


def tune(
    searchable: Searchable,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    backend: Backend | None = None,
) -> Generator[Event, None, None]:
    """Search, yielding events; the last is `SearchFinished` or `SearchStopped`.

    With `resume`, the search in `run_dir` goes on as it was begun. Without a `backend`, processes
    of this machine execute the trials. Raises DlcliErrors; DivergedError where all trials diverge.
    """
    prepared = searchable.prepared
    config = prepared.config
    placement = choose_placement(config.training.device, config.training.precision)
    configure_torch(placement)
    what = f"{prepared.plan.num_parameters:,} parameters and their rows"
    repair = "try smaller layers or a smaller training.batch_size"
    with memory_explained(placement.device, what, repair), ExitStack() as stack:
        folds, first = searchable.folds, prepared
        if folds is None:
            resolver = build_resolver(prepared, placement, has_test=False)
        else:
            first = prepare(folds.loaded, folds.dataset(0))
            resolver = build_fold_resolver(folds, first, placement, keeps_rows=True)
        if backend is None:
            backend = LocalProcesses(num_processes(config))
        backend.check(resolver.base)
        stop_signal = stack.enter_context(stop_signals())
        folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=resume))
        notes = check_resumable(folder, prepared) if resume else ()
        write_config(folder, config, prepared.folder)
        finished = FinishedTrials(folder, prepared.checksums)
        networks = None
        if folds is not None:
            networks = FoldNetworks(folder, first, folds, resolver, finished)
        run = _SearchRun(
            searchable, placement, resolver, backend, folder, finished, networks, stop_signal
        )
        yield from run.do(notes)


@dataclass
class _SearchRun:
    """A search that is being executed."""

    searchable: Searchable
    placement: Placement
    resolver: TrialResolver
    backend: Backend
    folder: RunFolder
    finished: FinishedTrials
    networks: FoldNetworks | None  # where folds judge
    stop_signal: Received

    def __post_init__(self) -> None:
        prepared, tune = self.searchable.prepared, self.searchable.tune
        self.config = config = prepared.config
        space = Space.of(self.searchable.space)
        self.ledger = SearchLedger(self.folder)
        rungs, self.notes = self._rungs()
        self.executor = self._executor(self.resolver, self.networks)
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

    def do(self, notes: tuple[str, ...]) -> Iterator[Event]:
        """Execute round after round, judge the best on fresh seeds, and sum up."""
        yield self._start(notes)
        for number, stage in enumerate(self.search.stages()):
            begun = time.perf_counter()
            yield from self._execute(self.executor, stage)
            if signal := self.stop_signal():
                yield self._stopped(signal)
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
        resolver = build_resolver(self.searchable.prepared, self.placement)
        judging = self._executor(resolver)
        yield from self._execute(judging, Stage("fresh seeds", fresh, is_evaluated=True))
        members = self.networks or self._members(resolver, entries)
        if isinstance(members, EnsembleTrials) and self.stop_signal() is None:
            executor = self._executor(resolver, members)
            stage = Stage("ensemble of the best", members.trials, is_evaluated=True)
            yield from self._execute(executor, stage)
        if signal := self.stop_signal():
            yield self._stopped(signal)
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
            self.backend,
            keep=None if members is None else members.keep,
            evaluator=evaluator,
        )

    def _execute(self, executor: Executor, stage: Stage) -> Iterator[Event]:
        """Execute a stage until it is over or a signal comes."""
        with closing(executor.execute(stage)) as events:
            for event in events:
                yield event
                if self.stop_signal():
                    return

    def _found(self, trials: Sequence[Trial]) -> list[TrialResult]:
        found = [self.finished.find(trial, is_evaluated=True) for trial in trials]
        return [result for result in found if result is not None]

    @property
    def _first_fold(self) -> int | None:
        return None if self.searchable.folds is None else 0

    def _refusal(self, trial: Trial) -> str | None:
        """Return why a trial's changes make no sound config; None: they do."""
        try:
            self.resolver.resolve(trial.model_copy(update={"fold": self._first_fold}))
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

    def _start(self, notes: tuple[str, ...]) -> SearchStarted:
        """Measure the time of a trial, and fit the rounds into the time that there is."""
        trial = self.search.trial({}, len(self.search.rungs) - 1)
        longest = self.resolver.resolve(trial.model_copy(update={"fold": self._first_fold}))
        [step_seconds] = measure_step_times([longest])
        seconds = longest.setup.max_steps * step_seconds * (self.searchable.tune.folds or 1)
        limit = self.searchable.tune.time
        if limit is not None and self.ledger.find_round(0) is None:
            share = sum(self.search.rungs) / self.search.rungs[-1] / len(self.search.rungs)
            trials_a_second = self.backend.num_cores / max(seconds * share, 1e-9)
            room = int(limit / _ROUNDS_IN_TIME * trials_a_second)
            self.search.width = max(self.backend.num_cores, min(self.search.width, room))
        return SearchStarted(
            self.searchable,
            self.placement,
            self.search,
            seconds,
            self.folder,
            len(self.finished),
            (*self.notes, *notes),
        )

    def _stopped(self, signal: SignalName) -> SearchStopped:
        self.finished.sync()
        return SearchStopped(signal, len(self.finished), self.folder)

    def _all_diverged(self) -> DivergedError:
        return DivergedError(
            "every trial diverged: there is nothing to choose from. Try lower learning rates "
            "(tune.space), training.gradient_clip_norm: 1, or look at the data's scale "
            f"(data.scale). The trials are in {self.folder.runs}"
        )
