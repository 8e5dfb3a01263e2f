"""The one executor of stages: trials → results, whatever rule asks for them."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from dlcli.optimizers.base import OptimizerConfig
from dlcli.training.engines.threads import MAX_THREADS
from dlcli.trials.evaluation import TrialEvaluator
from dlcli.trials.results import FinishedTrial, Results, TrialResult
from dlcli.trials.rule import Stage
from dlcli.trials.running.backend import Backend, LocalProcesses, NodesChanged
from dlcli.trials.running.execution import (
    ExecutionPlan,
    in_jobs,
    plan_execution,
    without_finished,
)
from dlcli.trials.running.step_time import measure_step_times
from dlcli.trials.running.workers import Job, StepsTaken
from dlcli.trials.setup import ResolvedTrial, SharedSetup, TrialResolver
from dlcli.trials.trial import Trial


@dataclass(frozen=True)
class StageStarted:
    """The missing trials of a stage begin."""

    title: str
    num_trials: int
    max_steps: int  # of all of them; early stopping takes fewer
    execution: str  # how they are executed, and why so
    num_nodes: int | None  # that execute them; None: this machine alone


@dataclass(frozen=True)
class TrialFinished:
    """A trial is over and kept."""

    result: TrialResult
    num_steps_saved: int  # that it might have taken, and didn't


@dataclass(frozen=True)
class StepLosses:
    """A step of every trial of a stage that has given learning rates."""

    losses: tuple[float, ...]  # trial by trial, in the target's units; infinite: diverged


Event = StageStarted | StepsTaken | NodesChanged | TrialFinished | StepLosses


Keep = Callable[[TrialResult, FinishedTrial], None]


class Stacks(Protocol):
    """Which trials were stacked with each other, as long as any of them may have to be done again.

    Whether a trial is stacked, and with which others, decides about the last bits of its losses.
    """

    def find(self) -> Sequence[tuple[Trial, ...]]:
        """Return the stacks that were begun."""
        ...

    def add(self, stacks: Sequence[tuple[Trial, ...]]) -> None:
        """Keep stacks that are about to begin: all of them or none, whatever interrupts it."""
        ...


class Executor:
    """Executes stages, and keeps each trial as soon as it is finished."""

    def __init__(
        self,
        resolver: TrialResolver,
        results: Results | None = None,
        backend: Backend | None = None,
        *,
        keep: Keep | None = None,
        stacks: Stacks | None = None,
        evaluator: Callable[[SharedSetup], TrialEvaluator] = TrialEvaluator,
    ) -> None:
        """Take what trials are resolved by, where finished ones are kept, and what executes them.

        Without `results` they are kept nowhere; without `backend`, processes of this machine
        execute them, one a core. `keep`, where it is given, keeps each with its weights in place of
        `results`. `evaluator` builds what evaluates the trials of a setup.

        A stage ends with the same bits whatever interrupts it, and however many cores there are: a
        stack of which one is missing is done again. What the stacks are follows from the stage;
        where it may get more trials later, `stacks` remembers them.
        """
        self._keep = keep
        self._stacks = stacks
        self._backend = backend or LocalProcesses(MAX_THREADS)
        self._backend.check(resolver.base)
        self._resolver = resolver
        self._results = results
        self._seconds_a_step: dict[tuple[SharedSetup, OptimizerConfig], float] = {}
        self._build_evaluator = evaluator
        self._evaluator: TrialEvaluator | None = None

    def missing(self, stage: Stage) -> list[Trial]:
        """Return the trials of a stage that are not finished yet."""
        results = self._results
        return [
            trial
            for trial in stage.trials
            if results is None or results.find(trial, is_evaluated=stage.is_evaluated) is None
        ]

    def plan(self, trials: Sequence[Trial]) -> ExecutionPlan:
        """Return how trials would be executed."""
        resolved = [*map(self._resolver.resolve, trials)]
        return plan_execution(resolved, self._backend.num_cores, self._backend.name_cores)

    def measure(self, trials: Sequence[Trial]) -> None:
        """Measure what a step of a trial by itself takes, side by side, where it is not known.

        Trials that differ in seed and learning rate alone take the same.
        """
        unknown: dict[SharedSetup, dict[OptimizerConfig, ResolvedTrial]] = {}
        for trial in map(self._resolver.resolve, trials):
            if (trial.setup, trial.update_rule) not in self._seconds_a_step:
                unknown.setdefault(trial.setup, {}).setdefault(trial.update_rule, trial)
        for setup, by_rule in unknown.items():
            seconds = measure_step_times([*by_rule.values()])
            for update_rule, measured in zip(by_rule, seconds, strict=True):
                self._seconds_a_step[setup, update_rule] = measured

    def execute(self, stage: Stage) -> Generator[Event, None, None]:
        """Execute what is missing of a stage; closing the generator ends it, finished trials kept.

        ConfigError where a trial's changes make no sound config.
        """
        if stage.lrs is not None:
            trials = [*map(self._resolver.resolve, stage.trials)]
            with closing(self._backend.take_steps(trials, stage.lrs)) as steps:
                for losses in steps:
                    yield StepsTaken(0) if losses is None else StepLosses(losses)
        elif missing := self.missing(stage):
            yield from self._train(stage, missing)

    def _train(self, stage: Stage, missing: Sequence[Trial]) -> Iterator[Event]:
        plan = without_finished(self._plan_stage(stage, missing), missing)
        trials = [trial.trial for job in plan.jobs for trial in job.trials]
        max_steps = {trial: self._resolver.resolve(trial).setup.max_steps for trial in trials}
        yield StageStarted(
            title=stage.title,
            num_trials=len(trials),
            max_steps=sum(max_steps.values()),
            execution=plan.reason,
            num_nodes=self._backend.num_nodes,
        )
        lacking = {*missing}
        with closing(self._backend.execute(plan.jobs)) as events:
            for event in events:
                if isinstance(event, StepsTaken | NodesChanged):
                    yield event
                    continue
                result = self._result(event, is_evaluated=stage.is_evaluated)
                if self._keep is not None:
                    self._keep(result, event)
                elif self._results is not None and event.trial in lacking:
                    self._results.add(result)
                yield TrialFinished(result, max_steps[event.trial] - result.num_steps)

    def _plan_stage(self, stage: Stage, missing: Sequence[Trial]) -> ExecutionPlan:
        """Return the jobs that what is missing was in when the stage began."""
        if self._stacks is None:
            return self.plan(stage.trials)
        begun = [*self._stacks.find()]
        known = {trial for stack in begun for trial in stack}
        new = self.plan([trial for trial in missing if trial not in known]).jobs
        stacks = [tuple(one.trial for one in job.trials) for job in new if job.is_stacked]
        if stacks:
            self._stacks.add(stacks)
        wanted = {*missing}
        again = [
            Job(tuple(map(self._resolver.resolve, stack)), is_stacked=True)
            for stack in begun
            if not wanted.isdisjoint(stack)
        ]
        return in_jobs([*again, *new], self._backend.num_cores, self._backend.name_cores)

    def _result(self, finished: FinishedTrial, *, is_evaluated: bool) -> TrialResult:
        resolved = self._resolver.resolve(finished.trial)
        figures = blocks = None
        if is_evaluated:
            evaluator = self._evaluator_of(resolved.setup)
            figures, blocks = evaluator.figures(finished), evaluator.blocks(finished)
        return TrialResult(
            trial=finished.trial,
            end=finished.end,
            num_steps=finished.num_steps,
            best_epoch=finished.best_epoch,
            train_losses=tuple(point.train_loss for point in finished.curve),
            validation_losses=tuple(point.validation_loss for point in finished.curve),
            seconds_a_step=self._seconds_a_step.get((resolved.setup, resolved.update_rule), 0.0),
            figures=figures,
            blocks=blocks,
        )

    def _evaluator_of(self, setup: SharedSetup) -> TrialEvaluator:
        if self._evaluator is None or self._evaluator.setup is not setup:
            self._evaluator = self._build_evaluator(setup)
        return self._evaluator
