"""The training loop: a generator that yields results and leaves saving and showing to others."""

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dlcli.config.sections.training import TrainingConfig
from dlcli.errors import DivergedError
from dlcli.metrics import headlines
from dlcli.network.builder import prepare_to_train
from dlcli.network.plan import Plan
from dlcli.targets.base import Target
from dlcli.training.device import GradientScaler, Placement
from dlcli.training.divergence import diverged, layer_of
from dlcli.training.early_stopping import Watch
from dlcli.training.engines.choice import Engine
from dlcli.training.epoch import CHECK_STEPS, EpochSoFar, PendingStep
from dlcli.training.evaluation import evaluate
from dlcli.training.objective import Objective
from dlcli.training.optimizers import FlatParameters, Optimizer
from dlcli.training.processes.group import ALONE, Group
from dlcli.training.processes.shards import ShardedStep
from dlcli.training.rows.augmenting import Augmenter
from dlcli.training.rows.batches import BatchSource, total_weight
from dlcli.training.rows.companions import companions_of
from dlcli.training.rows.parts import AnyRows, in_order
from dlcli.training.rows.steps import epoch_steps
from dlcli.training.schedules import Schedule
from dlcli.training.step import Stepper
from dlcli.training.updating.averaging import WeightAverage, exchanged, tensors_of
from dlcli.training.updating.scheduled import ScheduledNumbers

End = Literal["epochs", "early_stopping", "time"]  # training came to its end
StopReason = Literal[End, "sigint", "sigterm", "sigusr1", "sigusr2", "diverged"]


@dataclass(frozen=True)
class Progress:
    """Somewhere inside an epoch, after a step of the optimizer."""

    epoch: int
    num_steps: int  # taken in this epoch
    num_rows: int  # seen in this epoch


@dataclass(frozen=True)
class EpochResult:
    """The end of an epoch. Losses are in the target's own units."""

    epoch: int  # from 1
    train_loss: float  # the mean over the examples, each by the weights of its own step
    validation: dict[str, Any] | None  # figures by name
    lr: float  # of the last step
    gradient_norm: float  # of the last step
    seconds: float
    num_rows: int
    is_best: bool
    best_epoch: int
    without_value: str | None = None  # the metric that the loss is watched instead of, from here on


@dataclass(frozen=True)
class Best:
    """The weights of the best epoch so far, on the device."""

    epoch: int
    weights: dict[str, Tensor]


@dataclass
class Trainer:
    """What a run is made of, and how far it has come.

    `fit` changes network and optimizer, and what stands below them: `training/saving/state.py`
    captures all of that, and restores it.
    """

    plan: Plan
    network: nn.Module
    objective: Objective
    optimizer: Optimizer[FlatParameters]
    schedule: Schedule
    target: Target
    placement: Placement
    settings: TrainingConfig
    seed: int
    scaler: GradientScaler
    watch: Watch
    engine: Engine
    group: Group = ALONE
    sharded: ShardedStep | None = None  # None: batches are not cut
    epoch: EpochSoFar = field(default_factory=EpochSoFar)  # under way
    best: Best | None = None

    def __post_init__(self) -> None:
        self.stepper = Stepper(
            self.network,
            self.objective,
            self.target.field,
            self.optimizer,
            self.placement,
            self.scaler,
            self.settings.gradient_clip_norm,
            is_captured=self.engine.name == "captured",
            sharded=self.sharded,
            augmenter=Augmenter.of(self.settings.augment, self.plan.signature, self.target.field),
        )
        flat, ema = self.optimizer.parameters, self.settings.ema
        averaged = tensors_of(flat.values, dict(self.network.named_buffers()))
        self.average = None if ema is None else WeightAverage(ema.decay, averaged)
        self.scheduled = ScheduledNumbers.of(
            self.network, [self.optimizer], self.schedule.num_steps
        )

    def judged_weights(self) -> AbstractContextManager[None]:
        """Give the network the weights to judge and to predict with, for a while."""
        if self.average is not None:
            return exchanged(self.average.tensors, self.average.means)
        values = self.optimizer.judged_values()
        return nullcontext() if values is None else exchanged([self.optimizer.values], [values])

    @property
    def judges_an_average(self) -> bool:
        """Whether other weights are judged and predicted with than those that are trained."""
        return self.average is not None or self.optimizer.config.averages_weights

    @property
    def parameter_names(self) -> list[str]:
        """The names of the network's parameters, in their order."""
        return self.optimizer.parameters.names

    @property
    def num_steps(self) -> int:
        """The steps taken in the whole run."""
        return (self.epoch.number - 1) * self.schedule.steps_per_epoch + self.epoch.num_steps

    @property
    def stop_reason(self) -> StopReason | None:
        """Why there is nothing left to do; None while there is."""
        if self.watch.is_over:
            return "early_stopping"
        return "epochs" if self.epoch.number > self.settings.epochs else None


def fit(
    trainer: Trainer, train: BatchSource, validation: AnyRows | None
) -> Generator[Progress | EpochResult, None, None]:
    """Train from where the trainer stands, yielding after each step and at the end of each epoch.

    At a yield the trainer is what it is then: it can be captured. Raises DivergedError, with the
    step, when a loss or a gradient is not finite; network and optimizer are of no use then.
    """
    while trainer.stop_reason is None:
        try:
            yield from _take_steps(trainer, train)
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            trainer.epoch.read(trainer.parameter_names, trainer.scaler)
            raise _diverged(trainer, "the optimizer's step is too long for float32", 1) from None
        num_rows = trainer.settings.rows_per_epoch(len(train))
        yield _end_epoch(trainer, num_rows, validation)


def _take_steps(trainer: Trainer, train: BatchSource) -> Iterator[Progress]:
    """Take the steps that are left of the epoch."""
    epoch, settings = trainer.epoch, trainer.settings
    if not epoch.num_steps:
        epoch.started = time.perf_counter()
    prepare_to_train(trainer.network, trainer.plan)
    steps = epoch_steps(
        train,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate_batches,
        seed=trainer.seed,
        epoch=epoch.number,
        start=epoch.num_steps,
        last_batch=settings.last_batch,
        companions=companions_of(settings.augment),
    )
    with closing(steps):
        for batches in steps:
            step = trainer.num_steps
            lr = trainer.schedule.lr(step)
            trainer.optimizer.lr = lr
            if trainer.scheduled.numbers:
                trainer.scheduled.set(step)
            figures = trainer.stepper.take_step(batches, step)
            if trainer.average is not None:
                trainer.average.update(step)
            num_rows, weight = sum(map(len, batches)), total_weight(batches)
            epoch.add(PendingStep(step + 1, lr, num_rows, figures, weight))
            if len(epoch.unread) == CHECK_STEPS:
                epoch.read(trainer.parameter_names, trainer.scaler)
            yield Progress(epoch.number, epoch.num_steps, epoch.num_rows)


def _end_epoch(trainer: Trainer, num_rows: int, validation: AnyRows | None) -> EpochResult:
    """Look at the validation rows, take note of what they show, and go on to the next epoch."""
    epoch = trainer.epoch
    epoch.read(trainer.parameter_names, trainer.scaler)
    assert epoch.last is not None, "an epoch has steps"
    with trainer.judged_weights():
        weights = trainer.network.state_dict()
        refuse_not_finite(trainer, weights)
        figures = None if validation is None else _validate(trainer, validation)
        # Without validation rows nothing says which epoch is best; the last one is.
        before = trainer.watch.watched
        is_best = figures is None or trainer.watch.observe(epoch.number, figures)
        if is_best:
            clones = {name: tensor.detach().clone() for name, tensor in weights.items()}
            trainer.best = Best(epoch.number, clones)
    assert trainer.best is not None, "the first epoch is the best so far"
    if figures is not None:
        trainer.schedule.observe(epoch.number, figures["loss"])
    trainer.epoch = EpochSoFar(epoch.number + 1, last=epoch.last)
    return EpochResult(
        epoch=epoch.number,
        train_loss=epoch.mean_loss * trainer.objective.unit,
        validation=figures,
        lr=epoch.last.lr,
        gradient_norm=epoch.last.gradient_norm,
        seconds=epoch.seconds,
        num_rows=num_rows,
        is_best=is_best,
        best_epoch=trainer.best.epoch,
        without_value=None if trainer.watch.watched == before else before,
    )


def refuse_not_finite(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    """Raise DivergedError where weights, or the optimizer's state of them, are not finite.

    Tensors are named by their parameter, state as PARAMETER/KEY.
    """
    counted = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    sound = [tensor.isfinite().all().to(trainer.placement.device) for tensor in counted.values()]
    if torch.stack(sound).all():  # the one wait
        return
    name = next(name for name, is_sound in zip(counted, sound, strict=True) if not is_sound)
    parameter, _, key = name.partition("/")
    what = f"the optimizer's {key}" if key else "a weight"
    raise _diverged(trainer, f"{what} of {layer_of(parameter)} is not finite")


def _validate(trainer: Trainer, rows: AnyRows) -> dict[str, Any]:
    """Return the validation loss, the headline figure and the watched one."""
    names = dict.fromkeys([*headlines(trainer.target), trainer.watch.metric])
    names.pop("loss", None)
    try:
        return evaluate(
            trainer.network,
            trainer.objective,
            in_order(rows),
            target=trainer.target,
            placement=trainer.placement,
            names=names,
            group=trainer.group,
        )
    except DivergedError as error:
        raise _diverged(trainer, f"on the validation rows, {error}") from None


def _diverged(trainer: Trainer, what: str, num_ahead: int = 0) -> DivergedError:
    """Return the error for the last step, or for one that is `num_ahead` of it."""
    lr = float(trainer.optimizer.lr)
    step = trainer.num_steps + num_ahead
    before = trainer.epoch.last
    return diverged(what, trainer.epoch.number, step, lr, before, trainer.parameter_names)
