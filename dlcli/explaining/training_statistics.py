"""Activations, gradients and updates of a network, recorded at some epochs of training."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from dlcli.layers.activations import ACTIVATIONS
from dlcli.layers.base import Layer
from dlcli.layers.ragged import is_behind
from dlcli.layers.sequence import output_name
from dlcli.network.plan import Plan
from dlcli.network.row_ends import row_ends
from dlcli.section import NonNegativeInt, PositiveInt, Section
from dlcli.training.device import Placement
from dlcli.training.loop import Trainer
from dlcli.training.rows.batches import Rows, Tensors

# Training rows that activations are recorded on; fewer where they take so many multiply-adds.
_MAX_ROWS, _MIN_ROWS, _MAX_WORK = 256, 64, 100_000_000
_FIRST_EPOCHS = 4  # that are all recorded
_SPACING = 1.25  # ratio from one recorded epoch to the next, later
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_NUMBERS = 10_000  # of a layer or a gradient, for quantiles
_MAX_LISTED = 20  # units of a layer
_SATURATED = 0.95  # share of rows for which a saturated unit is at an end of its range

_Floats = Annotated[tuple[float, ...], Field(strict=False)]
_Indices = Annotated[tuple[int, ...], Field(strict=False)]


class LayerStatistics(Section):
    """A layer's activations on the probe rows, after its non-linearity."""

    name: str  # its index and type: 0_dense_relu, inputs.0_photo.0_dense_relu
    num_units: PositiveInt  # of its output; channels of a convolution
    quantiles: _Floats  # 5 %, 25 %, 50 %, 75 %, 95 %
    zero_share: float  # of all its activations
    num_dead: NonNegativeInt  # units with the same output for every row
    dead: _Indices  # the first of them
    num_saturated: NonNegativeInt  # units at an end of their range for nearly every row
    saturated: _Indices


class ParameterStatistics(Section):
    """A parameter at the last step of an epoch; None: the run was resumed after that step."""

    name: str
    gradient: _Floats | None  # 5 %, 50 %, 95 % of its absolute values, clipped as the step was
    weight_rms: float
    update_ratio: float | None  # the update's length over that of the weights before it


class EpochStatistics(Section):
    """Statistics at the end of an epoch."""

    epoch: NonNegativeInt
    layers: Annotated[tuple[LayerStatistics, ...], Field(strict=False)]
    parameters: Annotated[tuple[ParameterStatistics, ...], Field(strict=False)]
    num_rows: PositiveInt = _MAX_ROWS  # training rows that the activations are of, at most


def num_probe_rows(plan: Plan) -> int:
    """Return how many training rows a network's activations are recorded on, at most."""
    return min(_MAX_ROWS, max(_MIN_ROWS, _MAX_WORK // max(1, plan.multiply_adds)))


def is_recorded(epoch: int) -> bool:
    """Return whether an epoch, from 1, is recorded: the first ones, then fewer and fewer."""
    if epoch <= _FIRST_EPOCHS:
        return True
    return int(math.log(epoch, _SPACING)) != int(math.log(epoch - 1, _SPACING))


def collect_statistics(
    trainer: Trainer, probe: Rows, epoch: int, before: Tensor | None
) -> EpochStatistics:
    """Return statistics at an epoch's end, without changing the trainer or any random state.

    `before` are all parameters, flat, before the epoch's last step.
    """
    return EpochStatistics(
        epoch=epoch,
        layers=tuple(_layers(trainer, probe)),
        parameters=tuple(_parameters(trainer, before)),
        num_rows=len(probe),
    )


def _layers(trainer: Trainer, probe: Rows) -> list[LayerStatistics]:
    """Return statistics of each layer's activations on some rows, in evaluation mode."""
    layers = {
        prefix + output_name(index, layer.config): layer.config
        for prefix, sequence in trainer.plan.sequences()
        for index, layer in enumerate(sequence)
        if not layer.config.traits.passes_input_on
    }
    outputs = _outputs(trainer.network, list(layers), probe.inputs, trainer.placement)
    for name, lengths in row_ends(trainer.network, trainer.plan, probe.inputs).items():
        if name in outputs:  # each position as a row, without those behind the ends
            positions = outputs[name].transpose(1, 2)
            is_there = ~is_behind(lengths, positions.shape[1])
            outputs[name] = positions[is_there] if is_there.any() else positions.flatten(0, 1)
    return [_layer(name, layers[name], values) for name, values in outputs.items()]


def _outputs(
    network: nn.Module, modules: Sequence[str], inputs: Tensors, placement: Placement
) -> dict[str, Tensor]:
    """Return the outputs of modules, by name."""
    seen: dict[str, Tensor] = {}

    def take(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen[name] = output.detach().float()

        return hook

    handles = [
        network.get_submodule(name).register_forward_hook(take(name))  # type: ignore[arg-type]
        for name in modules
    ]
    was_training = network.training
    try:
        network.eval()
        with torch.no_grad(), placement.autocast():
            network(inputs)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return seen


def _layer(name: str, layer: Layer, values: Tensor) -> LayerStatistics:
    values = values if values.dim() > 1 else values[:, None]
    others = [0, *range(2, values.dim())]  # all dimensions but that of the units
    dead = values.amin(others) == values.amax(others)
    activation = layer.applied_activation
    ends = None if activation is None else ACTIVATIONS[activation].saturates_beyond
    saturated = torch.zeros_like(dead)
    if ends is not None:
        outside = (values < ends[0]) | (values > ends[1])
        saturated = outside.float().mean(others) >= _SATURATED
    return LayerStatistics(
        name=name,
        num_units=len(dead),
        quantiles=_quantiles(values, _QUANTILES),
        zero_share=float((values == 0).sum()) / max(1, values.numel()),
        num_dead=int(dead.sum()),
        dead=tuple(dead.nonzero().flatten().tolist()[:_MAX_LISTED]),
        num_saturated=int(saturated.sum()),
        saturated=tuple(saturated.nonzero().flatten().tolist()[:_MAX_LISTED]),
    )


def _parameters(trainer: Trainer, before: Tensor | None) -> list[ParameterStatistics]:
    flat = trainer.optimizer.parameters
    old = [None] * len(flat.views) if before is None else flat.split(before)
    return [
        _parameter(name, weight, gradient, previous)
        for name, weight, gradient, previous in zip(
            flat.names, flat.views, flat.gradients, old, strict=True
        )
    ]


def _parameter(
    name: str, weight: Tensor, gradient: Tensor, before: Tensor | None
) -> ParameterStatistics:
    rms = _length(weight) / math.sqrt(weight.numel())
    if before is None:
        return ParameterStatistics(name=name, gradient=None, weight_rms=rms, update_ratio=None)
    length = _length(before)
    ratio = _length(weight - before) / length if length else math.nan
    return ParameterStatistics(
        name=name,
        gradient=_quantiles(gradient, (0.05, 0.5, 0.95), is_absolute=True),
        weight_rms=rms,
        update_ratio=ratio if math.isfinite(ratio) else None,
    )


def _length(values: Tensor) -> float:
    """Return a Euclidean norm; squares of large float32s overflow, those of doubles don't."""
    return float(torch.linalg.vector_norm(values, dtype=torch.float64))


def _quantiles(
    values: Tensor, shares: Sequence[float], *, is_absolute: bool = False
) -> tuple[float, ...]:
    """Return quantiles, of a sample with replacement where there are many numbers.

    The sample is the same at each epoch, and of no random state that training uses.
    """
    flat = values.detach().flatten()
    if len(flat) > MAX_NUMBERS:
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randint(len(flat), (MAX_NUMBERS,), generator=generator)
        flat = flat[chosen.to(flat.device)]
    numbers = np.nan_to_num(flat.float().cpu().numpy())
    ordered = np.sort(np.abs(numbers) if is_absolute else numbers)
    return tuple(_interpolated(ordered, share * (len(ordered) - 1)) for share in shares)


def _interpolated(values: np.ndarray, place: float) -> float:
    """Return the value at a place between two of them, counted from 0."""
    low, part = int(place), place % 1
    return float(values[low]) * (1 - part) + float(values[min(low + 1, len(values) - 1)]) * part


def as_weights(trainer: Trainer) -> Mapping[str, Tensor]:
    """Return copies of the parameters, by name, on the CPU."""
    return {
        name: parameter.detach().to("cpu", copy=True).contiguous()
        for name, parameter in trainer.network.named_parameters()
    }
