"""How far a trainer has come, as plain tensors and numbers, and the way back to the bit."""

import math
import time
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dlcli.schedules.base import ScheduleState
from dlcli.section import NonNegativeFloat, NonNegativeInt, PositiveInt, Section
from dlcli.training.device import ScalerState
from dlcli.training.divergence import StepFigures
from dlcli.training.early_stopping import EarlyStoppingState
from dlcli.training.epoch import EpochSoFar
from dlcli.training.loop import Best, Trainer, refuse_not_finite

Tensors = dict[str, Tensor]


class LastStep(Section):
    """The last step that was taken."""

    step: PositiveInt
    lr: float
    loss: float
    # None: not finite, which fp16 takes in its stride
    norms: Annotated[tuple[float | None, ...], Field(strict=False)]


class NonTensorState(Section):
    """What of a state is not a tensor."""

    epoch: PositiveInt  # under way
    num_steps: NonNegativeInt  # taken in it
    num_rows: NonNegativeInt  # seen in it
    summed_loss: float
    weight: NonNegativeFloat = 0.0  # of the rows seen in it; 0 where each counts once
    seconds: NonNegativeFloat  # spent in it
    last: LastStep | None
    standing: EarlyStoppingState  # of early stopping
    plateau: ScheduleState
    scaler: ScalerState | None  # of fp16's gradients
    best_epoch: PositiveInt | None


@dataclass(frozen=True)
class TrainingState:
    """Everything that the steps to come depend on, on the CPU."""

    numbers: NonTensorState
    weights: Tensors  # as they are
    judged: Tensors  # to judge and to predict with; empty: the weights as they are
    best: Tensors  # as they were at the end of the best epoch
    optimizer: Tensors  # torch.optim's keys, as PARAMETER/KEY where each has its own
    random: Tensors  # the state of each generator that is drawn from, by its device's type


class StateError(ValueError):
    """A state that isn't one of this trainer."""


def capture(trainer: Trainer) -> TrainingState:
    """Copy the state of a trainer between two steps; the device is waited for once.

    Raises DivergedError where something is not finite: no state ever holds such a number.
    """
    trainer.epoch.read(trainer.parameter_names, trainer.scaler)
    epoch, last = trainer.epoch, trainer.epoch.last
    weights: Tensors = trainer.network.state_dict()
    optimizer = trainer.optimizer.named_state()
    refuse_not_finite(trainer, weights | optimizer)
    numbers = NonTensorState(
        epoch=epoch.number,
        num_steps=epoch.num_steps,
        num_rows=epoch.num_rows,
        summed_loss=epoch.summed_loss,
        weight=epoch.weight,
        seconds=epoch.seconds,
        last=None if last is None else _to_last_step(last),
        standing=replace(trainer.watch.standing),
        plateau=trainer.schedule.state,
        scaler=trainer.scaler.capture(),
        best_epoch=None if trainer.best is None else trainer.best.epoch,
    )
    return TrainingState(
        numbers=numbers,
        weights=to_cpu(weights),
        judged=_judged(trainer),
        best=to_cpu({} if trainer.best is None else trainer.best.weights),
        optimizer=to_cpu(optimizer),
        random=_random_states(trainer.placement.device),
    )


def restore_state(trainer: Trainer, state: TrainingState) -> None:
    """Bring a new trainer to where a captured one was; StateError where it can't be."""
    numbers = state.numbers
    _refuse_impossible(trainer, numbers)
    weights: Tensors = trainer.network.state_dict()
    copy_into(trainer.optimizer.named_state(), state.optimizer)
    trainer.optimizer.num_steps = int(trainer.optimizer.state["step"])
    copy_into(weights, state.weights)
    if numbers.best_epoch is not None:
        best = {name: torch.empty_like(tensor) for name, tensor in weights.items()}
        copy_into(best, state.best)
        trainer.best = Best(numbers.best_epoch, best)
    if trainer.average is not None:
        with trainer.judged_weights():  # in its place, so that names and shapes are checked
            copy_into(trainer.network.state_dict(), state.judged)
            torch._foreach_copy_(trainer.average.means, trainer.average.tensors)
    trainer.epoch = EpochSoFar(
        number=numbers.epoch,
        num_steps=numbers.num_steps,
        num_rows=numbers.num_rows,
        summed_loss=numbers.summed_loss,
        weight=numbers.weight,
        last=None if numbers.last is None else _from_last_step(numbers.last),
        started=time.perf_counter() - numbers.seconds,
    )
    trainer.watch.standing = standing = replace(numbers.standing)
    if standing.reference is not None and not standing.reference_epoch:
        # Of a version that did not keep it.
        standing.reference_epoch = numbers.epoch - 1 - standing.num_waited
    trainer.schedule.state = numbers.plateau
    if trainer.scaler.enabled and numbers.scaler is not None:
        trainer.scaler.put_back(numbers.scaler)
    _set_random_states(state.random, trainer.placement.device)


def _judged(trainer: Trainer) -> Tensors:
    if not trainer.judges_an_average:
        return {}
    with trainer.judged_weights():
        return to_cpu(trainer.network.state_dict())


def to_cpu(tensors: Tensors) -> Tensors:
    """Return copies."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _refuse_impossible(trainer: Trainer, numbers: NonTensorState) -> None:
    """Raise StateError for a position that no run of this trainer passes."""
    steps_per_epoch, last = trainer.schedule.steps_per_epoch, numbers.last
    num_steps = (numbers.epoch - 1) * steps_per_epoch + numbers.num_steps
    if (
        numbers.epoch > trainer.settings.epochs + 1
        or numbers.num_steps > steps_per_epoch
        or (numbers.num_steps > 0) != (numbers.num_rows > 0)
        or (0 if last is None else last.step) != num_steps
        or (last is not None and len(last.norms) != len(trainer.parameter_names))
        or (numbers.best_epoch is not None) != (numbers.epoch > 1)
        or max(numbers.best_epoch or 0, numbers.standing.best_epoch) >= numbers.epoch
    ):
        raise StateError("its position is none of this run")


def copy_into(destination: Tensors, source: Tensors) -> None:
    """Copy tensors in place; StateError where names, shapes or types differ."""
    if destination.keys() != source.keys():
        odd = min(destination.keys() ^ source.keys())
        raise StateError(f"{odd!r} is {'not in it' if odd in destination else 'none of this run'}")
    for name, tensor in destination.items():
        if tensor.shape != source[name].shape or tensor.dtype != source[name].dtype:
            raise StateError(
                f"{name} is {source[name].dtype} {tuple(source[name].shape)}, not "
                f"{tensor.dtype} {tuple(tensor.shape)}"
            )
        with torch.no_grad():
            tensor.copy_(source[name])


def _random_states(device: torch.device) -> Tensors:
    """Return the state of every generator that training draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_states(states: Tensors, device: torch.device) -> None:
    """Set the generators whose states are there: a run that moves to a GPU has none for it."""
    if odd := states.keys() - {"cpu", "cuda", "mps"}:
        raise StateError(f"{min(odd)!r} has no random state")
    if any(state.dim() != 1 for state in states.values()):
        raise StateError("a random state is a list of bytes")
    try:
        torch.set_rng_state(states["cpu"])
        if device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], device)
        if device.type == "mps" and "mps" in states:
            torch.mps.set_rng_state(states["mps"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise StateError(f"its random state can't be used: {error}") from None


def _to_last_step(figures: StepFigures) -> LastStep:
    norms = tuple(norm if math.isfinite(norm) else None for norm in figures.norms)
    return LastStep(step=figures.step, lr=figures.lr, loss=figures.loss, norms=norms)


def _from_last_step(last: LastStep) -> StepFigures:
    norms = [math.inf if norm is None else norm for norm in last.norms]
    return StepFigures(last.step, last.lr, last.loss, norms)
