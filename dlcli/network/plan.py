"""A config's layers and the data's signature → every shape and size, before torch is needed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from dlcli.config.sections.model import ModelConfig
from dlcli.config.text.writing import write_on_one_line
from dlcli.data.signature import Signature
from dlcli.layers.base import FLOAT_BYTES, Layer, PlannedLayer, Shape, ShapeError, UpdateFactors
from dlcli.layers.sequence import (
    module_name,
    plan_layers,
    still_ragged,
    walk_modules,
    walk_planned,
    with_outputs,
)
from dlcli.losses import Loss
from dlcli.network.branches.heads import OUTPUTS, PlannedHead, plan_heads
from dlcli.network.branches.planning import INPUTS, PlannedInputs, plan_inputs
from dlcli.network.ensemble import ADAPTER, PlannedEnsemble, plan_ensemble

EMBEDDINGS = "columns"  # the module that looks embedded columns up


@dataclass(frozen=True)
class Plan:
    """A network that fits the data."""

    signature: Signature
    layers: tuple[PlannedLayer, ...]  # after the join, where there are several inputs
    # Weights to begin with, by name, NaN where they are drawn as usual; None: all are drawn.
    start: Mapping[str, np.ndarray] | None = field(default=None, compare=False, repr=False)
    # Weights of layers that others have trained, and the scaling of the images for them, by name.
    given: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    frozen: frozenset[str] = frozenset()  # names of modules whose weights stay
    start_lr_factor: float = 1.0  # of the learning rate of all modules but the output layer
    ensemble: PlannedEnsemble | None = None  # None: a single network
    inputs: PlannedInputs | None = None  # None: a single input, of all columns
    heads: tuple[PlannedHead, ...] = ()  # behind the layers, of each of several targets

    def sequences(self) -> Iterator[tuple[str, tuple[PlannedLayer, ...]]]:
        """Yield layers one after another, and how their modules' names begin: inputs first."""
        if self.inputs is not None:
            for branch in self.inputs.branches:
                yield f"{branch.module}.", branch.layers
        yield "", self.layers
        for head in self.heads:
            yield f"{head.module}.", head.layers

    def modules(self) -> Iterator[tuple[str, PlannedLayer]]:
        """Yield every layer with its module's full name, in the order in which data passes."""
        if self.inputs is not None:
            for branch in self.inputs.branches:
                yield from walk_modules(branch.layers, f"{branch.module}.")
            yield self.inputs.join_module, self.inputs.join
        yield from walk_modules(self.layers)
        for head in self.heads:
            yield from walk_modules(head.layers, f"{head.module}.")

    def placed(self) -> Iterator[tuple[tuple[str | int, ...], PlannedLayer]]:
        """Yield every layer with its path in `model`, in the order of `modules`."""
        if self.inputs is not None:
            for branch in self.inputs.branches:
                yield from walk_planned(branch.layers, (INPUTS, branch.name, "layers"))
            yield ("combine",), self.inputs.join
        yield from walk_planned(self.layers, ("layers",))
        for head in self.heads:
            yield from walk_planned(head.layers, (OUTPUTS, head.name, "layers"))

    @property
    def outer_layers(self) -> tuple[PlannedLayer, ...]:
        """All layers but those within layers."""
        inputs = () if self.inputs is None else self.inputs.layers
        return (*inputs, *self.layers, *(layer for head in self.heads for layer in head.layers))

    @property
    def num_members(self) -> int:
        """How many networks are trained as one."""
        return 1 if self.ensemble is None else self.ensemble.num_members

    @property
    def num_trained(self) -> int:
        """The parameters that are not frozen."""
        trained = sum(
            layer.num_direct_parameters
            for name, layer in self.modules()
            if not self.is_frozen(name)
        )
        trained += 0 if self.ensemble is None else self.ensemble.num_parameters
        return trained + (0 if self.is_frozen(EMBEDDINGS) else self.num_embedding_parameters)

    def is_frozen(self, module: str) -> bool:
        """Say whether a module, or one that it is part of, keeps its weights."""
        return any(module == name or module.startswith(f"{name}.") for name in self.frozen)

    @property
    def starts_from_rows(self) -> bool:
        """Whether something begins with statistics of training rows: not with other weights."""
        begins = bool(self.unscaled_images) or self.has_layers_from_rows
        return self.start is None and begins

    @property
    def unscaled_images(self) -> tuple[int, ...]:
        """Which images are scaled by statistics of training images: no weights say how."""
        places = range(len(self.signature.pixels))
        return tuple(place for place in places if scaling_name(place, "mean") not in self.given)

    @property
    def has_layers_from_rows(self) -> bool:
        """Whether layers have weights that begin with statistics of training rows."""
        return any(layer.config.starts_from_rows for _, layer in self.modules())

    @property
    def update_factors(self) -> dict[str, UpdateFactors]:
        """The factors of the optimizer's settings by parameter, where any of them isn't 1."""
        found = {
            f"{module}.{name}": factors
            for module, layer in self.modules()
            for name, factors in layer.config.update_factors.items()
        }
        if self.start_lr_factor != 1:
            for name in self._tensors_before_output():
                factors = found.get(name, UpdateFactors())
                found[name] = factors._replace(lr=factors.lr * self.start_lr_factor)
        return found

    @property
    def output_modules(self) -> tuple[str, ...]:
        """The last module with weights, where each output has its own; of each head, if any."""
        ends = [(f"{head.module}.", head.layers) for head in self.heads] or [("", self.layers)]
        named = [
            [
                prefix + module_name(index, layer.config)
                for index, layer in enumerate(layers)
                if layer.num_parameters
            ]
            for prefix, layers in ends
        ]
        return tuple(names[-1] for names in named if names)

    def is_output_module(self, module: str) -> bool:
        """Say whether a module is one of those, or part of one."""
        return any(module == name or module.startswith(f"{name}.") for name in self.output_modules)

    def _tensors_before_output(self) -> Iterator[str]:
        """Yield the names of what is learned before the output layer, and of statistics there."""
        for module, layer in self.modules():
            if not self.is_output_module(module):
                yield from (f"{module}.{key}" for key in layer.config.tensors(layer))
        for place in range(len(self.signature.embeddings)):
            yield f"{EMBEDDINGS}.tables.{place}.weight"
        if self.ensemble is not None:
            yield ADAPTER

    @property
    def num_embedding_parameters(self) -> int:
        """Numbers in the tables of the embedded columns."""
        return sum(table.num_codes * table.dim for table in self.signature.embeddings)

    @property
    def num_parameters(self) -> int:
        """All that is learned."""
        layers = sum(layer.num_parameters for layer in self.outer_layers)
        adapter = 0 if self.ensemble is None else self.ensemble.num_parameters
        return layers + adapter + self.num_embedding_parameters

    @property
    def multiply_adds(self) -> int:
        """Multiplications by weights, each with its addition, in one row's forward pass."""
        return sum(layer.multiply_adds for layer in self.outer_layers)

    @property
    def min_rows(self) -> int:
        """The fewest rows that a training batch needs."""
        return max(self.min_rows_of(name, layer) for name, layer in self.modules())

    def min_rows_of(self, module: str, layer: PlannedLayer) -> int:
        """Return the fewest rows that a module needs; frozen, it uses no statistics of a batch."""
        return 1 if self.is_frozen(module) else layer.config.min_rows(layer.input_shape)

    @property
    def num_kept(self) -> int:
        """Numbers of one row that are kept for the backward pass."""
        members = 0 if self.ensemble is None else self.ensemble.num_kept
        return members + sum(layer.num_kept for layer in self.outer_layers)

    def activation_bytes(self, batch_size: int) -> int:
        """Return the memory of a batch's activations, kept for the backward pass."""
        return self.num_kept * batch_size * FLOAT_BYTES

    @property
    def matrices(self) -> list[Shape]:
        """The shapes of what is trained and has several axes."""
        tables = [] if self.is_frozen(EMBEDDINGS) else self.signature.embeddings
        layers = (
            axes.shape
            for name, layer in self.modules()
            if layer.num_direct_parameters and not self.is_frozen(name)
            for axes in layer.config.tensors(layer).values()
        )
        return [
            *(shape for shape in layers if len(shape) > 1),
            *((table.num_codes, table.dim) for table in tables),
            *([] if self.ensemble is None else self.ensemble.matrices),
        ]

    def training_bytes(self, num_kept: int) -> int:
        """Return the memory of weights, gradients and an optimizer that keeps so many numbers."""
        return (self.num_parameters + self.num_trained + num_kept) * FLOAT_BYTES


def scaling_name(place: int, key: Literal["mean", "std"]) -> str:
    """Return the full name of a tensor by which an image column's pixels are scaled."""
    return f"{EMBEDDINGS}.pixels.{place}.{key}"


def plan_model(model: ModelConfig, signature: Signature, loss: Loss) -> Plan:
    """Track shapes from the data to what the loss needs, and plan the members of an ensemble.

    Raises ShapeError, with the path inside of `model`, where something doesn't fit.
    """
    num_outputs = loss.num_outputs(signature.num_classes, signature.num_values)
    inputs = None if model.inputs is None else plan_inputs(model, signature)
    has_heads = any(output.layers for output in (model.outputs or {}).values())
    if has_heads and model.ensemble is not None:
        raise ShapeError(
            "members of an ensemble have no heads: leave out the heads' layers (model.outputs), so "
            "that the last dense layer gives the outputs of all targets",
            ("ensemble",),
        )
    try:
        plan = plan_network(
            model.layers,
            signature,
            num_outputs=None if has_heads else num_outputs,
            inputs=inputs,
        )
        plan = replace(plan, start_lr_factor=model.start_lr_factor)
        if model.ensemble is not None:
            columns = signature.columns_of_inputs if inputs is None else inputs.columns
            ensemble, planned = plan_ensemble(
                plan.layers, model.ensemble, loss=loss, columns=columns
            )
            plan = replace(plan, layers=planned, ensemble=ensemble)
    except ShapeError as error:
        raise ShapeError(str(error), ("layers", *error.path)) from None
    if has_heads:
        are_ragged = inputs is None and signature.given.is_ragged and still_ragged(plan.layers)
        shape = plan.layers[-1].output_shape
        plan = replace(plan, heads=plan_heads(model, loss, shape, are_ragged=are_ragged))
    return plan


def plan_network(
    layers: Sequence[Layer],
    signature: Signature,
    *,
    num_outputs: int | None,
    inputs: PlannedInputs | None = None,
) -> Plan:
    """Track shapes from the data, or from the join of several inputs, to the target.

    `num_outputs`: None where heads follow, which take what the last layer gives. Raises ShapeError,
    with the path inside of `layers`, where something doesn't fit.
    """
    names = signature.names_of_inputs
    if inputs is None and len(names) > 1:
        raise ShapeError(
            "images, sequences and other columns can't be one input; give each layers of its own, "
            "and model.layers what comes after all of them, such as [{type: dense}]: "
            f"model.inputs: {write_on_one_line(signature.simple_inputs)}; or name one of them: "
            f"data.features: {write_on_one_line([names[0]])}"
        )
    filled = layers if num_outputs is None else with_outputs(layers, num_outputs)
    if inputs is None:
        planned = plan_layers(filled, signature.given)
    else:
        planned = plan_layers(filled, inputs.join.output_shape)
    final = planned[-1].output_shape
    if num_outputs is not None and final != (num_outputs,):
        raise ShapeError(
            f"the network's output has the shape {list(final)}, the target needs {[num_outputs]}; "
            "end with {type: dense}, which takes its units from the target",
            (len(layers) - 1,),
        )
    return Plan(signature, planned, inputs=inputs)
