"""Trials, one after the other."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from torch import Tensor

from dlcli.errors import DivergedError
from dlcli.training.early_stopping import EarlyStoppingState
from dlcli.training.evaluation import compute_outputs
from dlcli.training.loop import EpochResult, Progress, Trainer, fit
from dlcli.training.saving.state import to_cpu
from dlcli.trials.cross_fitting import CrossFitted, mean_losses
from dlcli.trials.results import FinishedTrial, Point
from dlcli.trials.running.stacked_validation import watched_figure
from dlcli.trials.setup import ResolvedTrial, SharedSetup, assemble_trial


def run_sequentially(trials: Sequence[ResolvedTrial]) -> Iterator[FinishedTrial | Progress]:
    """Train each as `dlcli train` would, yielding after each step and at the end of each trial."""
    for trial in trials:
        setup, trainer = trial.setup, assemble_trial(trial)
        curve, crossed = [], None
        watch, stopped = trainer.watch, None
        if setup.halves is not None:
            crossed = CrossFitted.of(setup.halves, setup.settings.early_stopping)
            trainer.watch = replace(watch, patience=None, standing=EarlyStoppingState())
        try:
            with closing(fit(trainer, setup.train, setup.validation)) as events:
                for event in events:
                    if not isinstance(event, EpochResult):
                        yield event
                        continue
                    assert event.validation is not None, "there are validation rows"
                    if stopped is None:
                        loss = event.validation["loss"]
                        curve.append(Point(event.epoch, event.train_loss, loss))
                    if crossed is None:
                        continue
                    _cross_fit(event.epoch, trainer, setup, crossed)
                    if stopped is None:
                        watch.observe(event.epoch, event.validation)
                        stopped = (trainer.num_steps, trainer.best) if watch.is_over else None
                    if stopped is not None and crossed.is_over:
                        break
            end = trainer.stop_reason or "early_stopping"
            assert end in ("epochs", "early_stopping"), "it came to its end"
            num_steps = trainer.num_steps
        except DivergedError:
            end, last = "diverged", trainer.epoch.last
            # Steps are looked at from time to time: the first that is not finite is meant.
            num_steps = min(1 + (last.step if last else 0), trainer.num_steps)
        best = trainer.best
        if stopped is not None:  # it went on for the sake of its halves
            end, (num_steps, best) = "early_stopping", stopped
        yield FinishedTrial(
            trial.trial,
            tuple(curve),
            end,
            num_steps,
            best.epoch if best else 0,
            to_cpu(best.weights) if best else {},
            None if crossed is None else crossed.outputs,
        )


def _cross_fit(epoch: int, trainer: Trainer, setup: SharedSetup, crossed: CrossFitted) -> None:
    """Take note of an epoch's outputs for the rows that a fold holds out."""
    rows = setup.validation
    assert rows is not None, "a fold holds rows out"
    with trainer.judged_weights():
        outputs = compute_outputs(trainer.network, rows.inputs, setup.placement)
    targets = rows.targets[setup.target.field]
    objective = trainer.objective.on(targets, rows.weights)
    each = objective.each(outputs.to(targets.device), targets).cpu()
    weights = None if rows.weights is None else rows.weights.cpu()
    metric = None
    if crossed.watches[0].metric != "loss":

        def metric(mask: Tensor) -> float | None:
            return watched_figure(crossed.watches[0].metric, setup, rows, outputs, mask)

    crossed.observe(epoch, mean_losses(each, weights, crossed.halves), outputs, metric)
