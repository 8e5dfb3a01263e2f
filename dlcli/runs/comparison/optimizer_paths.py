"""The paths of a comparison's optimizers from the same initial weights, on one seed."""

from contextlib import closing

from torch import Tensor

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.surface.path import PathPlane, paths_plane
from dlcli.explaining.training_statistics import is_recorded
from dlcli.explaining.unavailable import Unavailable
from dlcli.network.builder import build_network
from dlcli.runs.preparation import Prepared
from dlcli.training.engines.threads import using_threads
from dlcli.training.loop import EpochResult, fit
from dlcli.training.saving.state import to_cpu
from dlcli.trials.comparing.comparison import Comparison
from dlcli.trials.running.execution import obstacle_to_stacking
from dlcli.trials.running.rate_steps import num_threads_of_steps
from dlcli.trials.running.stacked import trace_stacked
from dlcli.trials.setup import ResolvedTrial, TrialResolver, assemble_trial

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
    setup = resolver.base
    trials = [resolver.resolve(result.runs[0].trial) for result in judged]
    best_epochs = [result.runs[0].best_epoch for result in judged]
    with using_threads(num_threads_of_steps(trials)):
        if obstacle_to_stacking(setup):
            traced = [*map(_trace, trials, best_epochs)]
        else:
            traced = trace_stacked(trials, best_epochs, is_recorded)
    paths = {result.name: snapshots for result, snapshots in zip(judged, traced, strict=True)}
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


def _trace(trial: ResolvedTrial, best_epoch: int) -> list[tuple[int, dict[str, Tensor]]]:
    """Return a run's weights at the start, at recorded epochs and at its best one."""
    setup, trainer = trial.setup, assemble_trial(trial)
    found = [(0, to_cpu(trainer.network.state_dict()))]
    with closing(fit(trainer, setup.train, setup.validation)) as events:
        for event in events:
            if not isinstance(event, EpochResult):
                continue
            if is_recorded(event.epoch) or event.epoch == best_epoch:
                found.append((event.epoch, to_cpu(trainer.network.state_dict())))
            if event.epoch == best_epoch:
                break
    return found
