"""Activations and gradients of a layer, captured with temporary hooks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.layers.base import PlannedLayer
from dlcli.layers.sequence import module_name, output_name, walk_modules
from dlcli.layers.weights import WeightedLayer
from dlcli.network.plan import Plan
from dlcli.training.rows.batches import Tensors, split_tensors

_BLOCK_NUMBERS = 2**22  # of a layer's output, at once


@dataclass(frozen=True)
class LayerPosition:
    """A layer with weights, and the module whose output is its activation."""

    name: str  # the layer's module
    planned: PlannedLayer
    module: str  # after its activation function, and norms before that
    activation: str | None  # the activation function; None: there is none


def hidden_layers(plan: Plan) -> list[LayerPosition]:
    """Return the layers of units, which see all of their input, before the output layer.

    Without those of an ensemble's members.
    """
    with_weights = [
        prefix + module_name(index, layer.config)
        for prefix, layers in plan.sequences()
        for index, layer in enumerate(layers)
        if isinstance(layer.config, WeightedLayer) or layer.inner
    ]
    return [
        position
        for prefix, layers in plan.sequences()
        for position in _positions(layers, prefix)
        if len(position.planned.output_shape) == 1
        and position.name not in with_weights[-1:]
        and position.planned.members is None
    ]


@dataclass(frozen=True)
class ImageLayers:
    """The layers that an image passes first, one after another."""

    column: str | None  # whose images they get; None: the rows are images
    prefix: str  # of their modules' names
    layers: tuple[PlannedLayer, ...]

    @property
    def first(self) -> str:
        """The name of the first one's module."""
        return self.prefix + module_name(0, self.layers[0].config)

    def with_filters(self) -> list[tuple[int, LayerPosition]]:
        """Return the layers with filters whose outputs are images, each with its index.

        A block of layers is one of them.
        """
        found = []
        for index, layer in enumerate(self.layers):
            if len(layer.output_shape) == 3 and _filters_images(layer):
                output = _output_of(self.layers, index)
                config = self.layers[output].config
                name = self.prefix + module_name(index, layer.config)
                module = self.prefix + output_name(output, config)
                found.append((index, LayerPosition(name, layer, module, config.applied_activation)))
        return found


def _filters_images(layer: PlannedLayer) -> bool:
    """Say whether a layer, or one in it, has filters that see several positions or channels."""
    return any(
        each.config.traits.has_filters and not each.config.traits.keeps_positions
        for _, each in walk_modules((layer,))
    )


def image_layers(plan: Plan) -> ImageLayers | None:
    """Return the layers that get images: of several inputs, those of the first such one."""
    if plan.inputs is None:
        found = [ImageLayers(None, "", plan.layers)]
    else:
        found = [
            ImageLayers(branch.name, f"{branch.module}.", branch.layers)
            for branch in plan.inputs.branches
            if branch.layers
        ]
    return next((layers for layers in found if len(layers.layers[0].input_shape) == 3), None)


def first_weighted(plan: Plan) -> LayerPosition | None:
    """Return the first layer with weights; None where it is one input's, or in another layer."""
    if plan.inputs is not None:
        return None
    position = next(_positions(plan.layers, ""), None)
    return None if position is None or "." in position.name else position


def _positions(layers: Sequence[PlannedLayer], prefix: str) -> Iterator[LayerPosition]:
    for index, layer in enumerate(layers):
        name = prefix + module_name(index, layer.config)
        for key, inner in layer.branches:
            yield from _positions(inner, f"{name}.{key}.")
        if isinstance(layer.config, WeightedLayer):
            output = _output_of(layers, index)
            activation = layers[output].config.applied_activation
            module = prefix + output_name(output, layers[output].config)
            yield LayerPosition(name, layer, module, activation)


def _output_of(layers: Sequence[PlannedLayer], index: int) -> int:
    """Return the layer whose output is a layer's activation: itself, or an activation layer.

    Only layers that keep the shape and each number's position may come between the two.
    """
    if layers[index].config.applied_activation is not None:
        return index
    for later, layer in enumerate(layers[index + 1 :], start=index + 1):
        if not layer.config.traits.keeps_positions or layer.input_shape != layer.output_shape:
            break
        if layer.config.applied_activation is not None:
            return later
    return index


@contextmanager
def hooked(
    network: nn.Module, module: str, see: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Call `see` with a module's output, within the block; a tensor that it returns replaces it."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        return see(output)

    handle = network.get_submodule(module).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def capture_activations(
    model: ExplainedModel,
    position: LayerPosition,
    inputs: Tensors,
    reduce: Callable[[Tensor], Tensor] = lambda output: output,
) -> Tensor:
    """Return a layer's activations for rows, float32 on the CPU: [rows, units, …].

    `reduce` reduces the activations of a block of rows, where all of them are too many.
    """
    numbers = 1
    for size in position.planned.output_shape:
        numbers *= size
    seen: list[Tensor] = []

    def see(output: Tensor) -> None:
        seen.append(reduce(output.float()).cpu())

    network = model.network.eval()
    with hooked(network, position.module, see), torch.inference_mode(), model.placement.autocast():
        for block in split_tensors(inputs, max(1, _BLOCK_NUMBERS // numbers)):
            network(block)
    return torch.cat(seen)


def capture_gradients(
    model: ExplainedModel, position: LayerPosition, inputs: Tensors
) -> tuple[Tensor, Callable[[int | None], Tensor]]:
    """Return a layer's activations, and a function for the gradients of an output by them.

    Both are [rows, units]; for None, the gradients are those of the outputs' mean. In evaluation
    mode, in which the outputs of a row depend on its activations alone.
    """
    caught: list[Tensor] = []

    def see(output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    network = model.network.eval()
    with hooked(network, position.module, see), torch.enable_grad(), model.placement.autocast():
        outputs = network(inputs).float()
    activations = caught[0]

    def gradients(index: int | None) -> Tensor:
        chosen = outputs.mean(dim=1) if index is None else outputs[:, index]
        (gradient,) = torch.autograd.grad(chosen.sum(), activations, retain_graph=True)
        return gradient.float().cpu()

    return activations.detach().float().cpu(), gradients
