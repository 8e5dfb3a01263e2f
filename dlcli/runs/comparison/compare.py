"""`dlcli compare-optimizers`: optimizers compared on a config's problem.

trials/comparing/protocol.py says which trials; here each is executed once, whatever interrupts.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dlcli.config import Config, load_config
from dlcli.config.config import ReportKind
from dlcli.errors import CheckpointError, DivergedError
from dlcli.explaining.surface.path import PathPlane
from dlcli.explaining.unavailable import Unavailable
from dlcli.runs.comparison.begun_stacks import BegunStacks
from dlcli.runs.comparison.comparable import Comparable
from dlcli.runs.comparison.comparison_folder import write_comparison
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.comparison.optimizer_paths import trace_paths
from dlcli.runs.comparison.setup import build_resolver
from dlcli.runs.comparison.stages import OpenTrials, Stopped, open_trials
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.resume import compare_with_saved
from dlcli.training.device import Placement
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.protocol import ComparisonProtocol
from dlcli.trials.constant_baseline import constant_baseline
from dlcli.trials.running.backend import Backend
from dlcli.trials.running.execution import measure_step
from dlcli.trials.running.executor import Event as ExecutorEvent
from dlcli.trials.running.executor import Executor
from dlcli.trials.trial import Trial


@dataclass(frozen=True)
class Cost:
    """The work ahead, as far as it is known before the first stage."""

    num_runs: int
    max_steps: int  # of all runs; early stopping takes fewer
    seconds: float  # about, for so many steps
    max_growths: int  # of the grids, where best rates lie on their edges
    num_runs_per_growth: int
    seconds_per_growth: float


@dataclass(frozen=True)
class ComparisonStarted:
    """All checks passed; the runs start, or continue."""

    comparable: Comparable
    placement: Placement
    protocol: ComparisonProtocol
    cost: Cost
    folder: RunFolder
    num_finished: int  # runs that were finished before
    notes: tuple[str, ...]  # on what changed since


@dataclass(frozen=True)
class ComparisonFinished:
    """All runs are finished; the folder holds everything but the page."""

    comparison: Comparison
    paths: PathPlane | Unavailable | None  # of the optimizers; None: the page is not a full one
    folder: RunFolder
    report: ReportKind | None  # the page to make


Event = ComparisonStarted | ExecutorEvent | ComparisonFinished | Stopped


def compare(
    comparable: Comparable,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    backend: Backend | None = None,
) -> Generator[Event, None, None]:
    """Compare, yielding events; the last is `ComparisonFinished` or `Stopped`.

    With `resume`, finished runs in `run_dir` are not repeated. Without a `backend`, processes of
    this machine execute the runs. Raises DlcliErrors; DivergedError where no optimizer comes
    through.
    """
    prepared = comparable.prepared
    with open_trials(
        prepared,
        partial(build_resolver, prepared),
        _check_resumable,
        run_dir=run_dir,
        resume=resume,
        backend=backend,
    ) as opened:
        yield from _ComparisonRun(comparable, opened).do()


def wanted_report(config: Config) -> ReportKind | None:
    """Return the page that a config asks for; None: none."""
    return None if isinstance(config.report, bool) else config.report


def _note_threads(config: Config, backend: Backend) -> tuple[str, ...]:
    """Say where `training.threads` doesn't decide how many runs train at once."""
    threads = config.training.threads
    if threads in ("auto", backend.num_cores):
        return ()
    return (
        f"training.threads: {threads} has no say on a cluster: {backend.num_cores} runs or stacks "
        "train at once, one on each core",
    )


def _note_time(config: Config) -> tuple[str, ...]:
    """Say that `training.max_seconds` ends no run of a comparison."""
    if config.training.max_seconds is None:
        return ()
    return (
        "training.max_seconds does nothing here: runs are compared by their epochs, whatever "
        "time they take",
    )


def _check_resumable(folder: RunFolder, prepared: Prepared) -> tuple[str, ...]:
    """Refuse to resume a comparison of other data or another config; return what changed."""
    if not folder.config.exists():
        return ()
    if folder.rounds.exists() or not folder.runs.exists():
        why = "it is that of a search" if folder.rounds.exists() else f"no {folder.runs.name} in it"
        raise CheckpointError(
            f"{folder.path}: no comparison to resume: {why}; name another --run-dir"
        )
    was = load_config(folder.config).config
    checksums = FinishedTrials(folder, prepared.checksums).checksums

    def why_harmful(key: str) -> str | None:
        # Other optimizers are other trials, which are added to the finished ones.
        return None if key.startswith("optimizer.") else ""

    return tuple(compare_with_saved(folder, was, checksums, prepared, why_harmful))


@dataclass
class _ComparisonRun:
    """A comparison that is being executed."""

    comparable: Comparable
    opened: OpenTrials

    def __post_init__(self) -> None:
        prepared = self.comparable.prepared
        self.config = prepared.config
        self.setup, self.folder = self.opened.resolver.base, self.opened.folder
        assert self.setup.validation is not None, "optimizers are judged by validation rows"
        self.protocol = ComparisonProtocol(
            name=self.config.name,
            seed=self.config.seed,
            task=prepared.dataset.task,
            optimizers=self.comparable.candidates.optimizers,
            schedule=self.config.schedule,
            settings=self.config.compare,
            steps_per_epoch=self.setup.steps_per_epoch,
            results=self.opened.finished,
            constant=constant_baseline(self.setup, self.setup.validation),
        )
        self.executor = Executor(
            self.opened.resolver,
            self.opened.finished,
            self.opened.backend,
            stacks=BegunStacks(self.folder.stacks),
        )

    def do(self) -> Iterator[Event]:
        """Execute stage after stage, and conclude."""
        is_first = True
        for stage in self.protocol.stages():
            missing = self.executor.missing(stage)
            if is_first:
                yield self._start(missing)
            is_first = False
            if missing:
                self.folder.comparison.unlink(missing_ok=True)  # of the trials up to here
                yield from self.opened.execute(self.executor, stage)
            if signal := self.opened.received():
                yield self.opened.stopped(signal)
                return
        self.opened.finished.sync()
        prepared = self.comparable.prepared
        comparison = self.protocol.conclude()
        if comparison.best is None:
            raise self._all_diverged()
        write_comparison(self.folder, comparison, prepared)
        kind = wanted_report(self.config)
        is_full = kind == "full"
        paths = trace_paths(self.opened.resolver, comparison, prepared) if is_full else None
        yield ComparisonFinished(comparison, paths, self.folder, kind)

    def _start(self, missing: Sequence[Trial]) -> ComparisonStarted:
        """Measure the time of a step, and estimate the cost of all of them."""
        optimizers, seeds = self.comparable.candidates.optimizers, self.protocol.seeds
        one_of_each = [
            self.protocol.trial(optimizer, self.config.seed) for optimizer in optimizers.values()
        ]
        self.executor.measure(one_of_each)
        num_runs = len(missing) + max(
            0, len(optimizers) * len(seeds) - self.opened.finished.num_evaluated
        )
        plan = self.executor.plan(missing or one_of_each)
        max_steps = self.setup.max_steps
        seconds = max_steps * measure_step(plan) / plan.num_processes
        growth = len(optimizers) * len(self.protocol.tuning_seeds)
        cost = Cost(
            num_runs=num_runs,
            max_steps=num_runs * max_steps,
            seconds=num_runs * seconds,
            max_growths=self.protocol.max_growths,
            num_runs_per_growth=growth,
            seconds_per_growth=growth * seconds,
        )
        backend = self.opened.backend
        notes = (
            *self.opened.notes,
            *_note_threads(self.config, backend),
            *_note_time(self.config),
        )
        return ComparisonStarted(
            self.comparable,
            self.opened.placement,
            self.protocol,
            cost,
            self.folder,
            len(self.opened.finished),
            notes,
        )

    def _all_diverged(self) -> DivergedError:
        grids = self.protocol.grids.values()
        lowest, highest = min(map(min, grids)), max(map(max, grids))
        return DivergedError(
            f"every optimizer diverged, at rates from {lowest:g} to {highest:g}: there is nothing "
            "to compare. Try lower rates (--lrs), training.gradient_clip_norm: 1, or look at the "
            f"data's scale (data.scale). The runs are in {self.folder.runs}"
        )
