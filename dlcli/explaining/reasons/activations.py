"""What comes out of a layer inside of a network, caught by hooks that are gone afterwards."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcli.config.layers import (
    ActivationLayer,
    BatchNorm,
    Conv1d,
    Conv2d,
    Dense,
    Dropout,
    LayerNorm,
    Residual,
)
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.network.plan import Plan, PlannedLayer
from dlcli.training.rows.batches import Tensors, split_tensors

_BLOCK_NUMBERS = 2**22  # of a layer's output, at once


@dataclass(frozen=True)
class LayerPosition:
    """A layer with weights, and the module whose output is its activation."""

    name: str  # the layer's module
    planned: PlannedLayer
    module: str  # after its non-linearity, and norms that stand before that
    activation: str | None  # the non-linearity; None where it has none


def hidden_layers(plan: Plan) -> list[LayerPosition]:
    """Return the dense layers before the one that answers, from the input on."""
    places = [
        place for place in _places(plan.layers, "") if isinstance(place.planned.config, Dense)
    ]
    weighted = [
        index
        for index, layer in enumerate(plan.layers)
        if isinstance(layer.config, Dense | Conv1d | Conv2d | Residual)
    ]
    answers = f"{weighted[-1]}_dense" if weighted else ""
    return [place for place in places if place.name != answers]


def first_weighted(plan: Plan) -> LayerPosition | None:
    """Return the first dense or convolutional layer that the input reaches place by place."""
    for place in _places(plan.layers, ""):
        if isinstance(place.planned.config, Dense | Conv1d | Conv2d):
            return place if "." not in place.name else None
    return None


def _places(layers: Sequence[PlannedLayer], prefix: str) -> Iterator[LayerPosition]:
    for index, layer in enumerate(layers):
        name = f"{prefix}{index}_{layer.config.type}"
        if isinstance(layer.config, Residual):
            yield from _places(layer.inner, f"{name}.layers.")
        elif isinstance(layer.config, Dense | Conv1d | Conv2d):
            if layer.config.activation is not None:
                activation: str | None = layer.config.activation
                yield LayerPosition(name, layer, f"{name}_{activation}", activation)
            else:
                yield LayerPosition(name, layer, *_what_follows(layers, index, prefix))


def _what_follows(
    layers: Sequence[PlannedLayer], index: int, prefix: str
) -> tuple[str, str | None]:
    """Return the module whose output is a layer's activation, and its non-linearity."""
    for later, layer in enumerate(layers[index + 1 :], start=index + 1):
        match layer.config:
            case ActivationLayer():
                return f"{prefix}{later}_activation", layer.config.activation
            case BatchNorm() | LayerNorm() | Dropout():
                continue
            case _:
                break
    return f"{prefix}{index}_{layers[index].config.type}", None


@contextmanager
def _hooked(
    network: nn.Module, module: str, see: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Let `see` look at a module's output within the block, and change it where it gives one."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        return see(output)

    handle = network.get_submodule(module).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def catch_activations(
    subject: ExplainedModel,
    place: LayerPosition,
    inputs: Tensors,
    reduce: Callable[[Tensor], Tensor] = lambda output: output,
) -> Tensor:
    """Return a layer's activations for rows, float32 on the CPU: [rows, units] or with places.

    `reduce` makes less of a block of rows' activations, where all of them are too many.
    """
    numbers = 1
    for size in place.planned.output_shape:
        numbers *= size
    seen: list[Tensor] = []

    def see(output: Tensor) -> None:
        seen.append(reduce(output.float()).cpu())

    network = subject.network.eval()
    with _hooked(network, place.module, see), torch.inference_mode(), subject.placement.autocast():
        for block in split_tensors(inputs, max(1, _BLOCK_NUMBERS // numbers)):
            network(block)
    return torch.cat(seen)


def catch_gradients(
    subject: ExplainedModel, place: LayerPosition, inputs: Tensors
) -> tuple[Tensor, Callable[[int | None], Tensor]]:
    """Return a layer's activations, and a function for the gradients of an output by them.

    Both [rows, units]; of None, the gradients are those of the outputs' mean. In evaluation mode,
    where a row's outputs depend on its own activations alone.
    """
    caught: list[Tensor] = []

    def see(output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    network = subject.network.eval()
    with _hooked(network, place.module, see), torch.enable_grad(), subject.placement.autocast():
        outputs = network(inputs).float()
    activations = caught[0]

    def gradients(index: int | None) -> Tensor:
        chosen = outputs.mean(dim=1) if index is None else outputs[:, index]
        (gradient,) = torch.autograd.grad(chosen.sum(), activations, retain_graph=True)
        return gradient.float().cpu()

    return activations.detach().float().cpu(), gradients
