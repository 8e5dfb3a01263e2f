"""Layers one after another: planned, built, named and walked through."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dlcli.layers.activations import ACTIVATIONS
from dlcli.layers.base import FirstInput, Layer, Members, PlannedLayer, Region, Shape, ShapeError

if TYPE_CHECKING:
    from torch import nn


def plan_layers(layers: Sequence[Layer], given: Shape | FirstInput) -> tuple[PlannedLayer, ...]:
    """Plan layers one after another; ShapeError with the path to the layer that doesn't fit.

    Given more than a shape, they are the first layers of a network, or of one of its inputs.
    """
    planned: list[PlannedLayer] = []
    for index, layer in enumerate(layers):
        try:
            if planned:
                planned.append(layer.plan(planned[-1].output_shape))
            elif isinstance(given, FirstInput):
                planned.append(layer.plan_columns(given))
            else:
                planned.append(layer.plan(given))
        except ShapeError as error:
            raise ShapeError(str(error), (index, *error.path)) from None
    if isinstance(given, FirstInput) and given.is_ragged:
        still_ragged(planned)
    return tuple(planned)


def still_ragged(layers: Sequence[PlannedLayer]) -> bool:
    """Say whether layers that are given sequences of different lengths give such sequences again.

    Raises ShapeError, with the path to it, where a layer can't be told where a row ends.
    """
    for index, layer in enumerate(layers):
        at_end = layer.config.traits.at_end
        if at_end == "refuses":
            raise ShapeError(
                f"the rows are sequences of different lengths, and {layer.config.type} can't be "
                "told where each ends; put {type: pool_time}, or another layer that gives "
                "[features], before it",
                (index,),
            )
        if layer.config.starts_from_rows:
            raise ShapeError(
                "its weights can't begin with statistics of rows here, as the rows are sequences "
                "of different lengths; use other values of `init` and `bias_init`",
                (index,),
            )
        found = [at_end != "ends"]
        for key, inner in layer.branches:
            try:
                found.append(still_ragged(inner))
            except ShapeError as error:
                path = (key, *error.path) if layer.config.branches else ()
                raise ShapeError(str(error), (index, *path)) from None
        if not all(found):
            return False
    return True


def with_outputs(layers: Sequence[Layer], num_outputs: int) -> list[Layer]:
    """Fill in the outputs of the last layer that can take them from the target."""
    filled = list(layers)
    for index in reversed(range(len(filled))):
        layer = filled[index].with_outputs(num_outputs)
        if layer is not None:
            filled[index] = layer
            break
    return filled


def plan_members(layers: Sequence[PlannedLayer], members: Members) -> tuple[PlannedLayer, ...]:
    """Plan layers for the members of an ensemble; ShapeError with the path to one that can't be."""
    planned = []
    for index, layer in enumerate(layers):
        try:
            planned.append(layer.config.plan_members(layer, members))
        except ShapeError as error:
            raise ShapeError(str(error), (index, *error.path)) from None
    return tuple(planned)


def receptive_field_of(layers: Sequence[PlannedLayer], region: Region) -> Region | None:
    """Return the region of the first layer's input that a region of the last one's output sees.

    None: all of it, or it isn't known.
    """
    seen: Region | None = region
    for layer in reversed(layers):
        seen = None if seen is None else layer.config.receptive_field(layer, seen)
    return seen


def columns_after(
    layers: Sequence[PlannedLayer], columns: Sequence[int] | None
) -> Sequence[int] | None:
    """Return the column of each number behind some layers; None where one mixes columns."""
    for layer in layers:
        if columns is not None:
            columns = layer.config.columns_after(layer, columns)
    return columns


def build_layers(layers: Sequence[PlannedLayer]) -> OrderedDict[str, "nn.Module"]:
    """Build layers one after another: modules by name, `0_dense`, `0_dense_relu`, `1_flatten`."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for index, layer in enumerate(layers):
        modules[module_name(index, layer.config)] = layer.config.build(layer)
        activation = layer.config.activation_after
        if activation is not None:
            modules[output_name(index, layer.config)] = ACTIVATIONS[activation].build()
    return modules


def module_name(index: int, layer: Layer) -> str:
    """Return the name of a layer's module, by its place among its neighbours: `0_dense`."""
    return f"{index}_{layer.type}"


def output_name(index: int, layer: Layer) -> str:
    """Return the name of the module whose output is the layer's: `0_dense_relu`."""
    name = module_name(index, layer)
    return name if layer.activation_after is None else f"{name}_{layer.activation_after}"


def walk_layers(
    layers: Sequence[Layer], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Layer]]:
    """Yield every layer with its path, each before those that it is made of."""
    for index, layer in enumerate(layers):
        yield (*path, index), layer
        for key, inner in layer.branches.items():
            yield from walk_layers(inner, (*path, index, key))


def walk_planned(
    layers: Sequence[PlannedLayer], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], PlannedLayer]]:
    """Yield every layer with its path, each before those that it is made of.

    Layers that follow from a block's settings, and that no config writes, have the block's path.
    """
    for index, layer in enumerate(layers):
        place = (*path, index)
        yield place, layer
        for key, inner in layer.branches:
            for inner_place, one in walk_planned(inner, (*place, key)):
                yield (inner_place if layer.config.branches else place), one


def walk_modules(
    layers: Sequence[PlannedLayer], prefix: str = ""
) -> Iterator[tuple[str, PlannedLayer]]:
    """Yield every layer with its module's full name, each before those that it is made of."""
    for index, layer in enumerate(layers):
        name = prefix + module_name(index, layer.config)
        yield name, layer
        for key, inner in layer.branches:
            yield from walk_modules(inner, f"{name}.{key}.")
