"""Trials → what each one trains, and what it shares with others."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor

from dlcli.config import Config, LoadedConfig
from dlcli.config.loading import change_config
from dlcli.config.sections.training import TrainingConfig
from dlcli.data.fitted import FittedData
from dlcli.losses import Loss
from dlcli.network.plan import Plan
from dlcli.optimizers.base import OptimizerConfig
from dlcli.schedules.base import ScheduleConfig
from dlcli.targets.base import Target
from dlcli.training.assembly import assemble, initialise_from_rows
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
    # Which half of the rows that a fold holds out each is in, bool [rows] on the CPU; None: the
    # data are not folded.
    halves: Tensor | None = None
    fitted: FittedData | None = None  # what the rows of a fold are encoded by

    def stacks_with(self, other: "SharedSetup") -> bool:
        """Say whether trials of both can be one stack: they differ in what their rows hold alone.

        Folds do that have as many training rows, encoded to as many numbers.
        """
        return self is other or self._stacked_alike() == other._stacked_alike()

    def _stacked_alike(self) -> list[object]:
        """Return what trials of a stack have in common, beside numbers in tensors."""
        target, is_folded = self.target, self.halves is not None
        class_weights = self.loss.class_weights_of(target)
        shapes = [
            {name: (tensor.shape[1:], tensor.dtype) for name, tensor in tensors.items()}
            for rows in (self.train, self.validation or self.train)
            for tensors in (rows.inputs, rows.targets)
        ]
        return [
            *(self.plan, self.loss, class_weights, self.schedule, self.settings),
            *(self.placement.device, self.placement.dtype),
            *(target.field, target.class_names, len(self.train), shapes),
            *(is_folded, self.plan.start is None or id(self.plan.start)),
        ]

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

    @property
    def stacked_rule(self) -> OptimizerConfig:
        """Its update rule but for a weight decay that stays as it is.

        The steps of stacked runs of one such rule are one operation, whatever these two are.
        """
        decay = self.optimizer.weight_decay
        return self.update_rule.model_copy(
            update={"weight_decay": 0.0 if isinstance(decay, float | int) else decay}
        )


class TrialResolver:
    """Applies the changes of trials to a config, each set of changes once.

    Trials of one fold whose configs are the same but for the optimizer share a setup.
    """

    def __init__(
        self,
        base: LoadedConfig,
        setup: SharedSetup,
        build: Callable[[LoadedConfig, int | None], SharedSetup],
        *,
        fold: int | None = None,
    ) -> None:
        """Take a config with its setup, and what builds the setup of a changed one.

        Where data are folded, `setup` is that of a `fold`, and others are built when they are
        asked for.
        """
        self.base = setup
        self._config = base
        self._build = build
        self._setups: list[tuple[Config, int | None, SharedSetup]] = [(base.config, fold, setup)]
        self._known: dict[tuple[str, int | None], tuple[SharedSetup, OptimizerConfig]] = {}

    def resolve(self, trial: Trial) -> ResolvedTrial:
        """Return what a trial trains; ConfigError where its changes make no sound config."""
        key = (canonical_json(trial.changes), trial.fold)
        if key not in self._known:
            changed = self._config
            if trial.changes:
                changed = change_config(self._config, trial.changes)
            self._known[key] = (self._setup(changed, trial.fold), changed.config.optimizer)
        return ResolvedTrial(trial, *self._known[key])

    def forget(self, folds: Collection[int]) -> None:
        """Give the memory of the rows of some folds back, but for the base's."""
        kept = [one for one in self._setups if one[1] not in folds or one[2] is self.base]
        self._setups = kept
        setups = [setup for _, _, setup in kept]
        self._known = {key: found for key, found in self._known.items() if found[0] in setups}

    def _setup(self, changed: LoadedConfig, fold: int | None) -> SharedSetup:
        shared = changed.config.model_copy(update={"optimizer": self._config.config.optimizer})
        for config, of_fold, setup in self._setups:
            if of_fold == fold and config == shared:
                return setup
        self._setups.append((shared, fold, self._build(changed, fold)))
        return self._setups[-1][2]


def assemble_trial(resolved: ResolvedTrial) -> Trainer:
    """Build a trial's run as `dlcli train` would."""
    setup = resolved.setup
    trainer = assemble(
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
    initialise_from_rows(trainer.network, setup.plan, setup.train, seed=resolved.seed)
    return trainer
