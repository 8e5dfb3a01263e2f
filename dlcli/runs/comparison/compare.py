"""`dlcli compare-optimizers`: which optimizer serves a config's problem, and how sure that is.

trials/comparing/protocol.py says which trials; here each is executed once, whatever interrupts.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.config import load_config
from dlcli.config.optimizers import Optimizer
from dlcli.errors import CheckpointError, DivergedError
from dlcli.explaining.surface.path import PathPlane
from dlcli.explaining.unavailable import Unavailable
from dlcli.runs.comparison.comparable import Comparable
from dlcli.runs.comparison.comparison_folder import write_comparison
from dlcli.runs.comparison.finished_trials import FinishedTrials
from dlcli.runs.comparison.optimizer_paths import trace_paths
from dlcli.runs.comparison.shared_setup import build_shared_setup
from dlcli.runs.folder.lock import hold_run_folder
from dlcli.runs.folder.run_folder import RunFolder, write_config
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.resume import compare_with_saved
from dlcli.runs.training.signals import SignalName, stop_signals
from dlcli.training.device import Placement, choose_placement, configure_torch, memory_explained
from dlcli.training.engines.threads import MAX_THREADS
from dlcli.training.rows.batches import to_rows
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.comparing.protocol import Protocol, Stage
from dlcli.trials.comparing.results import TrialResult
from dlcli.trials.evaluation import TrialEvaluator
from dlcli.trials.running.execution import plan_execution
from dlcli.trials.running.step_time import measure_step_times
from dlcli.trials.running.workers import StepsTaken, do_all
from dlcli.trials.trial import FinishedTrial, RunSpec, SharedSetup


@dataclass(frozen=True)
class Cost:
    """What is to be done, as far as that is known before."""

    num_runs: int
    most_steps: int  # of all runs together; early stopping takes fewer
    seconds: float  # about, for so many steps
    most_growths: int  # of the grids, where best rates lie on their edges
    num_runs_a_growth: int
    seconds_a_growth: float


@dataclass(frozen=True)
class ComparisonStarted:
    """Everything fits; the runs begin, or go on."""

    comparable: Comparable
    placement: Placement
    protocol: Protocol
    cost: Cost
    folder: RunFolder
    num_finished: int  # runs that were done before
    notes: tuple[str, ...]  # on what changed since


@dataclass(frozen=True)
class StageStarted:
    """Some runs begin."""

    title: str
    num_runs: int
    most_steps: int  # of all of them together
    way: str  # how they are done, and why so


@dataclass(frozen=True)
class TrialFinished:
    """A run is over."""

    names: list[str]  # of the optimizers whose run it is
    result: TrialResult
    num_steps_saved: int  # that it might have taken, and didn't


@dataclass(frozen=True)
class ComparisonFinished:
    """All is done; the folder has all but the pictures."""

    comparison: Comparison
    paths: PathPlane | Unavailable  # the ways that the optimizers took
    folder: RunFolder


@dataclass(frozen=True)
class ComparisonStopped:
    """A signal came; finished runs are kept."""

    signal: SignalName
    num_finished: int
    folder: RunFolder


Event = (
    ComparisonStarted
    | StageStarted
    | StepsTaken
    | TrialFinished
    | ComparisonFinished
    | ComparisonStopped
)


def compare(
    comparable: Comparable, *, run_dir: Path | None = None, resume: bool = False
) -> Generator[Event, None, None]:
    """Compare, yielding events; the last is `ComparisonFinished` or `ComparisonStopped`.

    With `resume`, runs that are finished in `run_dir` are not done again. Raises DlcliErrors;
    DivergedError where no optimizer comes through.
    """
    prepared = comparable.prepared
    config = prepared.config
    placement = choose_placement(config.training.device, config.training.precision)
    configure_torch(placement)
    what = f"{prepared.plan.num_parameters:,} parameters and their rows"
    repair = "try smaller layers or a smaller training.batch_size"
    with memory_explained(placement.device, what, repair), ExitStack() as stack:
        problem = build_shared_setup(prepared, placement)
        asked_to_stop = stack.enter_context(stop_signals())
        folder = stack.enter_context(hold_run_folder(run_dir, config.name, resume=resume))
        notes = _take_up(folder, prepared) if resume else ()
        write_config(folder, config, prepared.folder)
        finished = FinishedTrials(folder, prepared.dataset.checksums)
        yield from _Work(comparable, problem, folder, finished, asked_to_stop).do(notes)


def _take_up(folder: RunFolder, prepared: Prepared) -> tuple[str, ...]:
    """Refuse to go on with a comparison on other data or of another config; say what changed."""
    if not folder.config.exists():
        return ()
    if not folder.runs.exists():
        raise CheckpointError(
            f"{folder.path}: no comparison to go on with: it has no {folder.runs.name}; name "
            "another --run-dir"
        )
    was = load_config(folder.config).config
    checksums = FinishedTrials(folder, prepared.dataset.checksums).checksums

    def why_harmful(key: str) -> str | None:
        # Optimizers that differ are other runs, which are done beside the finished ones.
        return None if key.startswith("optimizer.") else ""

    return tuple(compare_with_saved(folder, was, checksums, prepared, why_harmful))


@dataclass
class _Work:
    """A comparison under way."""

    comparable: Comparable
    problem: SharedSetup
    folder: RunFolder
    finished: FinishedTrials
    asked_to_stop: Callable[[], SignalName | None]
    seconds_a_step: dict[Optimizer, float] = field(default_factory=dict)  # rate left out

    def __post_init__(self) -> None:
        prepared, problem = self.comparable.prepared, self.problem
        self.config = prepared.config
        optimizers = self.comparable.candidates.optimizers
        self.protocol = Protocol(
            optimizers,
            self.config.compare,
            self.config.seed,
            task=prepared.dataset.task,
            results=self.finished,
        )
        settings = self.config.training
        self.steps_per_epoch = settings.steps_per_epoch(len(problem.train))
        test = prepared.dataset.parts.get("test")
        rows = None if test is None else to_rows(test, problem.placement.device)
        self.judge = TrialEvaluator(problem, rows)
        self.num_processes = MAX_THREADS if settings.threads == "auto" else settings.threads

    def do(self, notes: tuple[str, ...]) -> Iterator[Event]:
        """Do stage after stage, and say what came of it."""
        is_first = True
        for stage in self.protocol.stages():
            missing = self._missing(stage)
            if is_first:
                yield self._start(missing, notes)
            is_first = False
            if missing:
                self.folder.comparison.unlink(missing_ok=True)  # of the runs up to here
                yield from self._do(stage, missing)
            if signal := self.asked_to_stop():
                self.finished.sync()
                yield ComparisonStopped(signal, len(self.finished), self.folder)
                return
        self.finished.sync()
        prepared = self.comparable.prepared
        comparison = self.protocol.conclude(self.config.name, self.steps_per_epoch)
        if comparison.best is None:
            raise self._all_diverged()
        write_comparison(self.folder, comparison, prepared)
        yield ComparisonFinished(
            comparison, trace_paths(self.problem, comparison, prepared), self.folder
        )

    def _start(self, missing: Sequence[RunSpec], notes: tuple[str, ...]) -> ComparisonStarted:
        """Measure what a step takes, and work out what all of it will."""
        optimizers = self.comparable.candidates.optimizers
        rules = [RunSpec(optimizer, self.config.seed) for optimizer in optimizers.values()]
        paces = measure_step_times(self.problem, rules)
        self.seconds_a_step = {spec.rule: pace for spec, pace in zip(rules, paces, strict=True)}
        num_judged = len(optimizers) * len(self.protocol.seeds) - self.finished.num_judged
        num_runs = len(missing) + max(0, num_judged)
        way = plan_execution(self.problem, missing or rules, self.num_processes)
        most_steps = self.config.training.epochs * self.steps_per_epoch
        seconds = most_steps * way.run_seconds / way.num_processes
        growth = len(optimizers) * len(self.protocol.tuning_seeds)
        cost = Cost(
            num_runs=num_runs,
            most_steps=num_runs * most_steps,
            seconds=num_runs * seconds,
            most_growths=self.protocol.most_growths,
            num_runs_a_growth=growth,
            seconds_a_growth=growth * seconds,
        )
        return ComparisonStarted(
            self.comparable,
            self.problem.placement,
            self.protocol,
            cost,
            self.folder,
            len(self.finished),
            notes,
        )

    def _missing(self, stage: Stage) -> list[RunSpec]:
        return [
            RunSpec(optimizer, seed)
            for optimizer, seed in stage.runs
            if self.finished.find(optimizer, seed, is_judged=stage.is_judged) is None
        ]

    def _do(self, stage: Stage, specs: list[RunSpec]) -> Iterator[Event]:
        """Do runs until they are over or a signal comes, and keep each as it is over."""
        most_steps = self.config.training.epochs * self.steps_per_epoch
        way = plan_execution(self.problem, specs, self.num_processes)
        yield StageStarted(stage.title, len(specs), len(specs) * most_steps, way.reason)
        with closing(do_all(self.problem, way.jobs, way.num_processes)) as events:
            for event in events:
                if isinstance(event, FinishedTrial):
                    result = self._result(event, is_judged=stage.is_judged)
                    self.finished.add(result)
                    names = self.protocol.names_of(result.optimizer)
                    yield TrialFinished(names, result, most_steps - result.num_steps)
                else:
                    yield event
                if self.asked_to_stop():
                    return

    def _result(self, outcome: FinishedTrial, *, is_judged: bool) -> TrialResult:
        spec = outcome.spec
        return TrialResult(
            optimizer=spec.optimizer,
            seed=spec.seed,
            end=outcome.end,
            num_steps=outcome.num_steps,
            best_epoch=outcome.best_epoch,
            train_losses=tuple(point.train_loss for point in outcome.curve),
            validation_losses=tuple(point.validation_loss for point in outcome.curve),
            seconds_a_step=self.seconds_a_step[spec.rule],
            figures=self.judge.figures(outcome) if is_judged else None,
        )

    def _all_diverged(self) -> DivergedError:
        grids = self.protocol.grids.values()
        lowest, highest = min(map(min, grids)), max(map(max, grids))
        return DivergedError(
            f"every optimizer diverged, at rates from {lowest:g} to {highest:g}: there is nothing "
            "to compare. Try lower rates (--lrs), training.gradient_clip_norm: 1, or look at the "
            f"data's scale (data.scale). The runs are in {self.folder.runs}"
        )
