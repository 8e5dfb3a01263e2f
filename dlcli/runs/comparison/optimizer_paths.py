"""The paths of a comparison's optimizers from the same initial weights, on one seed."""

from contextlib import closing

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.path import PathPlane, Snapshots, paths_plane
from dlcli.explaining.training_statistics import is_recorded
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.builder import build_network
from dlcli.runs.preparation import Prepared
from dlcli.training.loop import EpochResult, fit
from dlcli.training.saving.state import to_cpu
from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.setup import TrialResolver, assemble_trial

_MAX_SECONDS = 20.0  # for repeating runs, as stacks keep no snapshots
_MAX_OPTIMIZERS = 7  # lines that a picture can tell apart


def trace_paths(
    resolver: TrialResolver, comparison: Comparison, prepared: Prepared
) -> PathPlane | Unavailable:
    """Repeat the first judged run of the best optimizers, up to its best epoch."""
    judged = [result for result in comparison.results if result.is_judged][:_MAX_OPTIMIZERS]
    seconds = sum(
        result.runs[0].best_epoch * comparison.steps_per_epoch * result.seconds_a_step
        for result in judged
    )
    if seconds > _MAX_SECONDS:
        return Unavailable(f"the runs would have to be repeated, which takes about {seconds:.0f} s")
    paths = {result.name: _snapshots(resolver, result) for result in judged}
    setup = resolver.base
    model = ExplainedModel(
        network=build_network(setup.plan, seed=0).to(setup.placement.device).eval(),
        plan=setup.plan,
        loss=setup.loss,
        fitted=prepared.dataset.fitted,
        placement=setup.placement,
        parts={},
        seed=prepared.config.seed,
    )
    return paths_plane(model, paths, setup.train)


def _snapshots(resolver: TrialResolver, result: OptimizerResult) -> Snapshots:
    """Return an optimizer's weights at the start, at recorded epochs and at its best one."""
    run = result.runs[0]
    resolved = resolver.resolve(run.trial)
    setup, trainer = resolved.setup, assemble_trial(resolved)
    found = [(0, to_cpu(trainer.network.state_dict()))]
    with closing(fit(trainer, setup.train, setup.validation)) as events:
        for event in events:
            if not isinstance(event, EpochResult):
                continue
            if is_recorded(event.epoch) or event.epoch == run.best_epoch:
                found.append((event.epoch, to_cpu(trainer.network.state_dict())))
            if event.epoch == run.best_epoch:
                break
    return found
