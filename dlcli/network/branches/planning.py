"""A config's `inputs` → the branches of a network, their shapes and their join."""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcli.config.sections.model import TABLE, ModelConfig
from dlcli.data.signature import ColumnsInput, Signature
from dlcli.layers.base import PlannedLayer, Shape, ShapeError
from dlcli.layers.joining.joins import join_of
from dlcli.layers.sequence import columns_after, plan_layers

INPUTS = "inputs"  # the module that computes the branches
_JOIN = "combine"  # in it, the one that joins them


@dataclass(frozen=True)
class PlannedBranch:
    """An input with the layers that are its alone."""

    name: str  # of its column, or `table`
    module: str  # the full name of its module
    columns: ColumnsInput
    layers: tuple[PlannedLayer, ...]

    @property
    def input_shape(self) -> Shape:
        """The shape of its input, without the batch."""
        return self.columns.shape

    @property
    def output_shape(self) -> Shape:
        """The shape of what it gives."""
        return self.layers[-1].output_shape if self.layers else self.input_shape


@dataclass(frozen=True)
class PlannedInputs:
    """The branches of a network, and what makes one input of them."""

    branches: tuple[PlannedBranch, ...]
    join: PlannedLayer

    @property
    def join_module(self) -> str:
        """The full name of the module that joins them."""
        return f"{INPUTS}.{_JOIN}"

    @property
    def columns(self) -> tuple[int, ...]:
        """Of each number after the join, its column; one of its own where some are mixed."""
        if self.join.config.type != "concat":
            return tuple(range(self.join.output_shape[0]))
        found: list[tuple[str, int]] = []
        for branch in self.branches:
            columns = columns_after(branch.layers, branch.columns.columns)
            if columns is None:
                found += ((branch.name, number) for number in range(branch.output_shape[0]))
            else:
                found += (("", column) for column in columns)
        order = {column: place for place, column in enumerate(dict.fromkeys(found))}
        return tuple(order[column] for column in found)

    @property
    def layers(self) -> Iterator[PlannedLayer]:
        """The layers of each branch, and the join."""
        for branch in self.branches:
            yield from branch.layers
        yield self.join


def plan_inputs(model: ModelConfig, signature: Signature) -> PlannedInputs:
    """Plan the branches of a model that has some, each with its columns.

    The branch `table` has the columns that no other has. Raises ShapeError, with the path inside of
    `model`, where a layer doesn't fit, or the branches don't fit each other.
    """
    assert model.inputs is not None, "the model has inputs"
    if TABLE not in model.inputs and (without := {*signature.columns} - model.inputs.keys()):
        raise ShapeError(f"columns without an input: {', '.join(sorted(without))}", (INPUTS,))
    alone = [name for name in signature.names_of_inputs if name not in (TABLE, *model.inputs)]
    if alone:
        raise ShapeError(
            f"images or sequences without an input of their own: {', '.join(alone)}", (INPUTS,)
        )
    branches = []
    for place, (name, section) in enumerate(model.inputs.items()):
        columns = signature.input_of(columns_of(name, model, signature.columns))
        if not columns.width:
            raise ShapeError(f"there is no column for the input '{name}'", (INPUTS, name))
        try:
            layers = plan_layers(section.layers, columns.given)
        except ShapeError as error:
            raise ShapeError(str(error), (INPUTS, name, "layers", *error.path)) from None
        branches.append(PlannedBranch(name, branch_module(INPUTS, place, name), columns, layers))
    shapes = {branch.name: branch.output_shape for branch in branches}
    try:
        join = join_of(model.combine or "concat").plan_inputs(shapes)
    except ShapeError as error:
        raise ShapeError(str(error), (INPUTS, *error.path)) from None
    return PlannedInputs(tuple(branches), join)


def columns_of(name: str, model: ModelConfig, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of an input, of those that are known."""
    if name != TABLE:
        return (name,)
    assert model.inputs is not None, "the model has inputs"
    return tuple(column for column in known if column == TABLE or column not in model.inputs)


def branch_module(whole: str, place: int, name: str) -> str:
    """Return the full name of a branch's module: `inputs.0_species`; a dot would end a part."""
    return f"{whole}.{place}_{name.replace('%', '%25').replace('.', '%2E')}"


def input_of_module(part: str) -> str:
    """Return the name of the input whose branch has a module, by the last part of its name."""
    return part.partition("_")[2].replace("%2E", ".").replace("%25", "%")
