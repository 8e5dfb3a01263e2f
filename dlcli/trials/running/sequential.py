"""Trials, one after the other."""

from collections.abc import Iterator, Sequence

from dlcli.errors import DivergedError
from dlcli.training.loop import EpochResult, Progress, fit
from dlcli.training.saving.state import to_cpu
from dlcli.trials.results import FinishedTrial, Point
from dlcli.trials.setup import ResolvedTrial, assemble_trial


def run_sequentially(trials: Sequence[ResolvedTrial]) -> Iterator[FinishedTrial | Progress]:
    """Train each as `dlcli train` would, yielding after each step and at the end of each trial."""
    for trial in trials:
        setup, trainer = trial.setup, assemble_trial(trial)
        curve = []
        try:
            for event in fit(trainer, setup.train, setup.validation):
                if isinstance(event, EpochResult):
                    assert event.validation is not None, "there are validation rows"
                    loss = event.validation["loss"]
                    curve.append(Point(event.epoch, event.train_loss, loss))
                else:
                    yield event
            end = trainer.stop_reason
            assert end in ("epochs", "early_stopping"), "it came to its end"
            num_steps = trainer.num_steps
        except DivergedError:
            end, last = "diverged", trainer.epoch.last
            # Steps are looked at from time to time: the first that is not finite is meant.
            num_steps = min(1 + (last.step if last else 0), trainer.num_steps)
        best = trainer.best
        yield FinishedTrial(
            trial.trial,
            tuple(curve),
            end,
            num_steps,
            best.epoch if best else 0,
            to_cpu(best.weights) if best else {},
        )
