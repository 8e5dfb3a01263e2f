"""Trials of one setup, or of its folds, all at once: epochs of a stack of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dlcli.training.early_stopping import Watch
from dlcli.training.epoch import CHECK_STEPS
from dlcli.training.rows.batches import Rows, total_weight
from dlcli.training.saving.state import to_cpu
from dlcli.training.schedules import Schedule
from dlcli.training.updating.averaging import WeightAverage, exchanged, tensors_of
from dlcli.training.updating.scheduled import ScheduledNumbers
from dlcli.trials.cross_fitting import CrossFitted
from dlcli.trials.results import End, FinishedTrial, Point
from dlcli.trials.running.stack import Stack
from dlcli.trials.running.stacked_validation import StackedValidation
from dlcli.trials.setup import ResolvedTrial
from dlcli.trials.trial import Trial

_WORTH_CUTTING = 1 / 8  # of the runs: once so many are over, they are taken out of the stack


@dataclass
class _Run:
    """A trial that is being trained."""

    trial: Trial
    watch: Watch
    schedule: Schedule
    unit: float  # the factor from its losses to the target's own units
    crossed: CrossFitted | None  # where data are folded
    curve: list[Point] = field(default_factory=list)
    best_epoch: int = 0
    num_steps: int = 0  # up to the last epoch of its curve
    is_over: bool = False


@dataclass(frozen=True)
class StackProgress:
    """Somewhere inside an epoch, after a step of all runs that are left."""

    epoch: int
    num_steps: int  # taken in this epoch
    num_runs: int


def run_stacked(trials: Sequence[ResolvedTrial]) -> Iterator[FinishedTrial | StackProgress]:
    """Train trials that stack at once, yielding after each step, and each trial when it is over.

    Each has the weights and figures that it would have by itself, within rounding.
    """
    yield from _StackedTraining(trials).finished_trials()


def trace_stacked(
    trials: Sequence[ResolvedTrial], last_epochs: Sequence[int], is_traced: Callable[[int], bool]
) -> list[list[tuple[int, dict[str, Tensor]]]]:
    """Train trials of one setup at once, each up to its last epoch; return weights on the CPU.

    Those at the start, epoch 0, at the epochs that are traced, and at the last one.
    """
    training, steps_per_epoch = _StackedTraining(trials), trials[0].setup.steps_per_epoch
    last = {trial.trial: epoch for trial, epoch in zip(trials, last_epochs, strict=True)}
    traced = {run.trial: [(0, training.weights(index))] for index, run in enumerate(training.runs)}
    for event in training.finished_trials():
        if not isinstance(event, StackProgress) or event.num_steps < steps_per_epoch:
            continue
        for index, run in enumerate(training.runs):
            is_last = event.epoch == last[run.trial]
            if is_last or (event.epoch < last[run.trial] and is_traced(event.epoch)):
                traced[run.trial].append((event.epoch, training.weights(index)))
        if event.epoch == max(last_epochs):
            break
    return [traced[trial.trial] for trial in trials]


class _StackedTraining:
    def __init__(self, trials: Sequence[ResolvedTrial]) -> None:
        self.setup = setup = trials[0].setup
        self.settings = settings = setup.settings
        self.stack = Stack.of(trials)
        self.slot_rows = self.stack.slot_rows
        self.steps_per_epoch = setup.steps_per_epoch
        self.runs = [
            _Run(
                trial.trial,
                Watch.of(settings.early_stopping),
                Schedule(setup.schedule, trial.optimizer.lr, self.steps_per_epoch, settings.epochs),
                trial.setup.loss.unit(trial.setup.target.unit),
                _crossed(trial),
            )
            for trial in self.stack.trials
        ]
        self.validation = StackedValidation(self.stack, self.runs[0].watch.metric)
        network, ema = self.stack.network, settings.ema
        averaged = tensors_of(network.parameters.values, network.buffers)
        self.average = None if ema is None else WeightAverage(ema.decay, averaged)
        self.best_values = network.parameters.values.clone()
        self.best_buffers = {name: buffer.clone() for name, buffer in network.buffers.items()}

    def finished_trials(self) -> Iterator[FinishedTrial | StackProgress]:
        """Train epoch by epoch until no run is left."""
        for epoch in range(1, self.settings.epochs + 1):
            sums = _EpochSums(len(self.runs))
            before = (epoch - 1) * self.steps_per_epoch
            lrs = self._lrs(before)
            scheduled = self._scheduled()
            for index, batches in enumerate(self.slot_rows.steps(self.settings, epoch)):
                scheduled.set(before + index)
                figures = self.stack.take_step(batches, lrs[min(index, len(lrs) - 1)])
                if self.average is not None:
                    self.average.update(before + index)
                sums.add(figures, sum(map(len, batches)), self._weights(batches))
                yield StackProgress(epoch, index + 1, sum(not run.is_over for run in self.runs))
            sums.read()
            with self._judged_weights():
                ended = list(self._end_epoch(epoch, sums, before))
            yield from ended
            self._cut()
            if not self.runs:
                return

    def weights(self, index: int) -> dict[str, Tensor]:
        """Return a run's weights as they are, copied to the CPU."""
        network = self.stack.network
        return to_cpu(network.state_dict(index, network.parameters.values, network.buffers))

    def _end_epoch(self, epoch: int, sums: "_EpochSums", before: int) -> Iterator[FinishedTrial]:
        finite = self.stack.network.parameters.values.isfinite().all(1).tolist()
        shown = self.validation.validate()
        losses, watched = shown.losses, shown.watched
        is_last = epoch == self.settings.epochs
        improved = []
        for index, run in enumerate(self.runs):
            if run.is_over:
                continue
            bad_step, validation_loss = sums.bad_step[index], losses[index]
            if bad_step is not None or not finite[index] or validation_loss is None:
                if run.watch.is_over:  # it went on for the sake of its halves
                    yield self._end(index, "early_stopping", run.num_steps)
                else:
                    yield self._end(index, "diverged", before + (bad_step or sums.num_steps))
                continue
            loss = validation_loss * run.unit
            if not run.watch.is_over:
                run.num_steps = before + sums.num_steps
                run.curve.append(Point(epoch, sums.mean_loss(index) * run.unit, loss))
                figures: dict[str, float | None] = {"loss": loss}
                if watched is not None:
                    figures[run.watch.metric] = watched[index]
                if run.watch.observe(epoch, figures):
                    run.best_epoch = epoch
                    improved.append(index)
            run.schedule.observe(epoch, loss)
            if run.crossed is not None:
                self.validation.cross_fit(epoch, index, shown, run.crossed)
        network = self.stack.network
        self.best_values[improved] = network.parameters.values[improved]
        for name, buffer in network.buffers.items():
            self.best_buffers[name][improved] = buffer[improved]
        for index, run in enumerate(self.runs):
            has_stopped = run.watch.is_over and (run.crossed is None or run.crossed.is_over)
            if not run.is_over and (is_last or has_stopped):
                end: End = "early_stopping" if run.watch.is_over else "epochs"
                yield self._end(index, end, run.num_steps)

    def _end(self, index: int, end: End, steps: int) -> FinishedTrial:
        run = self.runs[index]
        run.is_over = True
        weights = {}
        if run.best_epoch:
            weights = to_cpu(
                self.stack.network.state_dict(index, self.best_values, self.best_buffers)
            )
        outputs = None if run.crossed is None else run.crossed.outputs
        curve = tuple(run.curve)
        return FinishedTrial(run.trial, curve, end, steps, run.best_epoch, weights, outputs)

    def _cut(self) -> None:
        """Take runs that are over out of the stack, once there are enough of them."""
        left = [index for index, run in enumerate(self.runs) if not run.is_over]
        if len(left) == 0 or len(self.runs) - len(left) >= _WORTH_CUTTING * len(self.runs):
            self.runs = [self.runs[index] for index in left]
            if left:
                self.stack.keep(left)
                if self.average is not None:
                    network = self.stack.network
                    self.average.keep(tensors_of(network.parameters.values, network.buffers), left)
                self.best_values = self.best_values[left]
                self.best_buffers = {
                    name: buffer[left] for name, buffer in self.best_buffers.items()
                }

    def _judged_weights(self) -> AbstractContextManager[None]:
        """Give the networks the weights to judge and to predict with, for a while."""
        if self.average is not None:
            return exchanged(self.average.tensors, self.average.means)
        optimizers = [group.optimizer for group in self.stack.groups]
        judged = [(one.values, one.judged_values()) for one in optimizers]
        pairs = [(values, others) for values, others in judged if others is not None]
        return exchanged([values for values, _ in pairs], [others for _, others in pairs])

    def _scheduled(self) -> ScheduledNumbers:
        """Return what changes with every step, for the runs that are left."""
        optimizers = [group.optimizer for group in self.stack.groups]
        return ScheduledNumbers.of(self.stack.network.masks, optimizers, self.setup.max_steps)

    def _lrs(self, before: int) -> Tensor:
        """Return the learning rates of an epoch's steps, [steps, runs]; one row if all alike."""
        known: dict[tuple[float, float], list[float]] = {}
        columns = []
        for schedule in (run.schedule for run in self.runs):
            key = (schedule.base_lr, schedule.state.factor)
            if key not in known:
                known[key] = schedule.epoch_lrs(before)
            columns.append(known[key])
        table = np.array(columns, np.float32).T
        return torch.from_numpy(np.ascontiguousarray(table)).to(self.setup.placement.device)

    def _weights(self, batches: tuple[Rows, ...]) -> Tensor | None:
        """Return the weight of the rows of each run's step, [runs]; None: each counts once."""
        totals = total_weight(batches)
        return None if totals is None else totals[self.stack.network.seed_of_run]


def _crossed(trial: ResolvedTrial) -> CrossFitted | None:
    halves, settings = trial.setup.halves, trial.setup.settings
    return None if halves is None else CrossFitted.of(halves, settings.early_stopping)


class _EpochSums:
    """The steps of an epoch, read from time to time."""

    def __init__(self, num_runs: int) -> None:
        self.bad_step: list[int | None] = [None] * num_runs  # from 1: not finite there
        self.num_steps = 0
        self._losses = torch.zeros(num_runs, dtype=torch.float64)
        self._weights = torch.zeros(num_runs, dtype=torch.float64)  # of the rows, or their number
        self._unread: list[tuple[Tensor, Tensor]] = []

    def add(self, figures: Tensor, num_rows: int, weights: Tensor | None) -> None:
        """Take note of a step's losses and norms, [runs, 2], on rows of some weight, [runs]."""
        counts = torch.full((len(figures),), num_rows) if weights is None else weights
        self._unread.append((figures, counts))
        if len(self._unread) == CHECK_STEPS:
            self.read()

    def read(self) -> None:
        """Add up what was noted, and see where it is not finite."""
        if not self._unread:
            return
        # The one wait for the device. [steps, runs, 2]
        figures = torch.stack([step for step, _ in self._unread]).cpu().double()
        counts = torch.stack([count for _, count in self._unread]).cpu().double()  # [steps, runs]
        self._losses += (figures[:, :, 0] * counts).sum(0)
        self._weights += counts.sum(0)
        is_bad = ~figures.isfinite().all(2)
        for run in is_bad.any(0).nonzero().flatten().tolist():
            if self.bad_step[run] is None:
                self.bad_step[run] = self.num_steps + 1 + int(is_bad[:, run].int().argmax())
        self.num_steps += len(self._unread)
        self._unread.clear()

    def mean_loss(self, run: int) -> float:
        """Return the mean over the epoch's examples, each by the weights of its own step."""
        return float(self._losses[run] / self._weights[run])
