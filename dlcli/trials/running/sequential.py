"""Runs of a comparison, one after the other."""

from collections.abc import Iterator, Sequence

from dlcli.errors import DivergedError
from dlcli.training.loop import EpochResult, Progress, fit
from dlcli.training.saving.state import to_cpu
from dlcli.trials.trial import FinishedTrial, Point, RunSpec, SharedSetup, assemble_trial


def run_sequentially(
    problem: SharedSetup, specs: Sequence[RunSpec]
) -> Iterator[FinishedTrial | Progress]:
    """Do each run as `dlcli train` would, yielding after each step and at the end of each run."""
    for spec in specs:
        trainer = assemble_trial(problem, spec)
        curve = []
        try:
            for event in fit(trainer, problem.train, problem.validation):
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
            spec,
            tuple(curve),
            end,
            num_steps,
            best.epoch if best else 0,
            to_cpu(best.weights) if best else {},
        )
