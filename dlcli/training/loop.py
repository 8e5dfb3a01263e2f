"""The training loop: a generator that yields results and leaves saving and showing to others."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn, optim

from dlcli.config.training import Metric, TrainingConfig
from dlcli.data.target import FittedTarget, metrics_of
from dlcli.errors import DivergedError
from dlcli.seeds import derive_seed
from dlcli.training.batches import Rows, epoch_steps
from dlcli.training.device import GradientScaler, Placement
from dlcli.training.early_stopping import Watch
from dlcli.training.evaluation import evaluate
from dlcli.training.losses import Objective, loss_unit
from dlcli.training.optimizers import set_lr
from dlcli.training.schedules import Schedule
from dlcli.training.step import take_step

StopReason = Literal["epochs", "early_stopping", "sigint", "sigterm", "diverged"]

_CHECK_STEPS = 64  # between two looks at whether everything is finite: a look makes the CPU wait
_PROGRESS_SECONDS = 0.1


@dataclass(frozen=True)
class Progress:
    """Somewhere inside an epoch."""

    epoch: int
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
    stop_reason: StopReason | None  # None: goes on


@dataclass(frozen=True)
class Trainer:
    """What a run is made of: values, none of them changed by the loop but network and optimizer."""

    network: nn.Module
    objective: Objective
    optimizer: optim.Optimizer
    schedule: Schedule
    target: FittedTarget
    placement: Placement
    settings: TrainingConfig
    seed: int


def fit(trainer: Trainer, train: Rows, validation: Rows | None) -> Iterator[Progress | EpochResult]:
    """Train, yielding the end of each epoch, and where it is at the pace of a screen.

    The weights at a yield are those of that moment. Raises DivergedError, with the step, when a
    loss or a gradient is not finite; the weights are of no use then.
    """
    torch.manual_seed(derive_seed(trainer.seed, "dropout"))
    watch = Watch.of(trainer.settings.early_stopping)
    scaler = GradientScaler(trainer.placement)
    for epoch in range(1, trainer.settings.epochs + 1):
        started = time.perf_counter()
        step = epoch * trainer.schedule.steps_per_epoch
        try:
            loss, lr, norm = yield from _train_epoch(trainer, train, epoch, scaler)
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            lr = trainer.optimizer.param_groups[0]["lr"]
            raise _diverged(
                "the optimizer's step is too long for float32", epoch, step, lr
            ) from None
        if not all(tensor.isfinite().all() for tensor in trainer.network.state_dict().values()):
            raise _diverged("a weight is not finite", epoch, step, lr)
        try:
            figures = _validate(trainer, validation, watch.metric)
        except DivergedError as error:
            raise _diverged(f"on the validation rows, {error}", epoch, step, lr) from None
        # Without validation rows nothing says which epoch is best; the last one is.
        is_best = figures is None or watch.observe(epoch, figures[watch.metric])
        if figures is not None:
            trainer.schedule.observe(figures["loss"])
        yield EpochResult(
            epoch=epoch,
            train_loss=loss * loss_unit(trainer.objective.loss, trainer.target),
            validation=figures,
            lr=lr,
            gradient_norm=norm,
            seconds=time.perf_counter() - started,
            num_rows=len(train),
            is_best=is_best,
            best_epoch=watch.best_epoch or epoch,
            stop_reason="early_stopping"
            if watch.is_over
            else ("epochs" if epoch == trainer.settings.epochs else None),
        )
        if watch.is_over:
            return


@dataclass(frozen=True)
class _Taken:
    """A step whose figures are still on the device."""

    loss: Tensor
    norm: Tensor
    num_rows: int
    step: int  # from 1, over the whole run
    lr: float


def _train_epoch(
    trainer: Trainer, train: Rows, epoch: int, scaler: GradientScaler
) -> Generator[Progress, None, tuple[float, float, float]]:
    """Yield progress; return the epoch's mean loss, and the last step's rate and gradient norm."""
    settings, schedule = trainer.settings, trainer.schedule
    batch_size, accumulate = settings.batch_size, settings.accumulate_batches
    steps = epoch_steps(
        train, batch_size=batch_size, accumulate=accumulate, seed=trainer.seed, epoch=epoch
    )
    summed, num_rows, shown = 0.0, 0, time.perf_counter()
    unread: list[_Taken] = []
    trainer.network.train()
    for step, batches in enumerate(steps, start=(epoch - 1) * schedule.steps_per_epoch):
        lr = schedule.lr(step)
        set_lr(trainer.optimizer, lr)
        loss, norm = take_step(
            trainer.network,
            trainer.objective,
            trainer.optimizer,
            batches,
            placement=trainer.placement,
            scaler=scaler,
            clip_norm=settings.gradient_clip_norm,
        )
        unread.append(_Taken(loss, norm, sum(map(len, batches)), step + 1, lr))
        num_rows += unread[-1].num_rows
        if len(unread) == _CHECK_STEPS:
            summed += _read(unread, epoch, scaler)
            unread.clear()
        if time.perf_counter() - shown > _PROGRESS_SECONDS:
            shown = time.perf_counter()
            yield Progress(epoch, num_rows)
    summed += _read(unread, epoch, scaler)
    return summed / num_rows, lr, float(norm)


def _read(steps: list[_Taken], epoch: int, scaler: GradientScaler) -> float:
    """Return the steps' losses summed over their rows; DivergedError where one is not finite."""
    if not steps:
        return 0.0
    losses: list[float] = torch.stack([step.loss for step in steps]).tolist()
    norms: list[float] = torch.stack([step.norm for step in steps]).tolist()
    for step, loss, norm in zip(steps, losses, norms, strict=True):
        # A gradient that overflows fp16 is the scaler's affair, until there is no scale left.
        overflow = not math.isfinite(norm) and not (scaler.enabled and scaler.scale >= 1)
        if not math.isfinite(loss) or overflow:
            what = f"the {'gradient' if math.isfinite(loss) else 'loss'} is not finite"
            raise _diverged(what, epoch, step.step, step.lr)
    return sum(loss * step.num_rows for step, loss in zip(steps, losses, strict=True))


def _diverged(what: str, epoch: int, step: int, lr: float) -> DivergedError:
    return DivergedError(
        f"{what} at step {step}, in epoch {epoch}, with learning rate {lr:g}: training diverged; "
        f"try optimizer.lr: {lr / 10:g}, training.gradient_clip_norm: 1, a schedule with "
        "warmup_epochs, or data.scale: standard"
    )


def _validate(trainer: Trainer, rows: Rows | None, watched: Metric) -> dict[str, Any] | None:
    """Return the validation loss, the headline figure and the watched one."""
    if rows is None:
        return None
    return evaluate(
        trainer.network,
        trainer.objective,
        rows,
        target=trainer.target,
        placement=trainer.placement,
        names=dict.fromkeys(
            name for name in (metrics_of(trainer.target)[0], watched) if name != "loss"
        ),
    )
