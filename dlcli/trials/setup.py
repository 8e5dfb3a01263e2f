"""Trials → what each one trains, and what it shares with others."""

from collections.abc import Callable
from dataclasses import dataclass

from dlcli.config import Config, LoadedConfig
from dlcli.config.loading import change_config
from dlcli.config.sections.training import TrainingConfig
from dlcli.losses import Loss
from dlcli.network.plan import Plan
from dlcli.optimizers.base import OptimizerConfig
from dlcli.schedules.base import ScheduleConfig
from dlcli.targets.base import Target
from dlcli.training.assembly import assemble
from dlcli.training.device import Placement
from dlcli.training.loop import Trainer
from dlcli.training.rows.batches import Rows
from dlcli.trials.trial import Trial, canonical_json


@dataclass(frozen=True, eq=False)
class SharedSetup:
    """All that makes a training run, but for its optimizer and its seed."""

    plan: Plan
    loss: Loss
    schedule: ScheduleConfig
    settings: TrainingConfig
    target: Target
    placement: Placement
    train: Rows
    validation: Rows | None
    test: Rows | None

    @property
    def steps_per_epoch(self) -> int:
        """The optimizer's steps in an epoch."""
        return self.settings.steps_per_epoch(len(self.train))

    @property
    def max_steps(self) -> int:
        """The steps of a run that early stopping does not end."""
        return self.settings.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class ResolvedTrial:
    """A trial and what its changes mean. Trials of one setup can be stacked."""

    trial: Trial
    setup: SharedSetup  # the same object for all trials that share it
    optimizer: OptimizerConfig  # with its learning rate

    @property
    def seed(self) -> int:
        """The seed of its weights, its rows' order and its dropout."""
        return self.trial.seed

    @property
    def update_rule(self) -> OptimizerConfig:
        """Its optimizer but for the learning rate."""
        return self.optimizer.model_copy(update={"lr": 1.0})


class TrialResolver:
    """Applies the changes of trials to a config, each set of changes once.

    Trials whose configs are the same but for the optimizer share a setup.
    """

    def __init__(
        self, base: LoadedConfig, setup: SharedSetup, build: Callable[[LoadedConfig], SharedSetup]
    ) -> None:
        """Take a config with its setup, and what builds the setup of a changed one."""
        self.base = setup
        self._config = base
        self._build = build
        self._setups: list[tuple[Config, SharedSetup]] = [(base.config, setup)]
        self._known: dict[str, tuple[SharedSetup, OptimizerConfig]] = {}

    def resolve(self, trial: Trial) -> ResolvedTrial:
        """Return what a trial trains; ConfigError where its changes make no sound config."""
        assert trial.fold is None, "data are not folded yet"
        key = canonical_json(trial.changes)
        if key not in self._known:
            changed = change_config(self._config, trial.changes)
            self._known[key] = (self._setup(changed), changed.config.optimizer)
        return ResolvedTrial(trial, *self._known[key])

    def _setup(self, changed: LoadedConfig) -> SharedSetup:
        shared = changed.config.model_copy(update={"optimizer": self._config.config.optimizer})
        for config, setup in self._setups:
            if config == shared:
                return setup
        self._setups.append((shared, self._build(changed)))
        return self._setups[-1][1]


def assemble_trial(resolved: ResolvedTrial) -> Trainer:
    """Build a trial's run as `dlcli train` would."""
    setup = resolved.setup
    return assemble(
        setup.plan,
        loss=setup.loss,
        optimizer=resolved.optimizer,
        schedule=setup.schedule,
        settings=setup.settings,
        target=setup.target,
        placement=setup.placement,
        seed=resolved.seed,
        num_rows=len(setup.train),
    )
