"""Which numbers that reach a layer of one network are which of another one's, by their columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.columns.base import Column
from dlcli.columns.image import FileColumn
from dlcli.data.fitted import FittedData
from dlcli.layers.base import PlannedLayer, ShapeError
from dlcli.layers.sequence import module_name
from dlcli.network.branches.planning import INPUTS, PlannedBranch
from dlcli.network.plan import Plan

Places = list[int | None]  # of the run, for each input; None: it is new
_Names = list[tuple[str, str]]  # of the numbers of a row: a column and a part of it


@dataclass(frozen=True)
class Network:
    """A network's plan, and what was fitted to its data."""

    plan: Plan
    fitted: FittedData


@dataclass
class _Follower:
    """Finds the layers whose inputs are columns, one sequence of layers after the other."""

    found: dict[str, Places]

    def follow(
        self,
        layers: Sequence[PlannedLayer],
        before: _Names,
        after: _Names,
        prefix: str = "",
        path: tuple[str | int, ...] = ("layers",),
    ) -> None:
        """Add the layers up to the first that mixes columns, where columns differ.

        Raises ShapeError where the weights of one can't be matched by column.
        """
        if before == after:
            return
        known = {name: place for place, name in enumerate(before)}
        places = [known.get(name) for name in after]
        for index, layer in enumerate(layers):
            is_reshaped = (
                layer.config.traits.passes_input_on and layer.output_shape != layer.input_shape
            )
            if layer.inner or layer.config.takes_columns or is_reshaped:
                raise ShapeError(
                    f"the columns differ, and the weights of {layer.config.type} can't be matched "
                    "by column",
                    (*path, index),
                )
            self.found[prefix + module_name(index, layer.config)] = places
            if not _passes_columns(layer):
                break


def layers_by_column(old: Network, new: Network) -> dict[str, Places]:
    """Return which inputs of the run each input is, by the layers whose inputs are columns.

    Nothing where all columns are the same, in the same order. With several inputs, what an input's
    layers give is matched by the input. Raises ShapeError, with the path inside of `model`.
    """
    follower = _Follower({})
    before, after = input_names(old.fitted), input_names(new.fitted)
    if new.plan.inputs is None:
        if new.plan.signature.shape is None:
            follower.follow(new.plan.layers, before, after)
        return follower.found
    assert old.plan.inputs is not None, "the run has several inputs, too"
    known = {branch.name: branch for branch in old.plan.inputs.branches}
    for branch in new.plan.inputs.branches:
        if branch.name in known:
            follower.follow(
                branch.layers,
                _of_branch(known[branch.name], before),
                _of_branch(branch, after),
                f"{branch.module}.",
                (INPUTS, branch.name, "layers"),
            )
    if new.plan.inputs.join.config.type != "concat":
        _refuse_other_columns(old.plan, new.plan, before, after)
    else:
        follower.follow(new.plan.layers, _joined_names(old, before), _joined_names(new, after))
    return follower.found


def _refuse_other_columns(old: Plan, new: Plan, before: _Names, after: _Names) -> None:
    """Raise ShapeError where numbers are joined one by one that are of other columns in the run."""
    names = []
    for plan, of_columns in ((old, before), (new, after)):
        assert plan.inputs is not None, "both have several inputs"
        passed = (one for one in plan.inputs.branches if all(map(_passes_columns, one.layers)))
        names.append({branch.name: _of_branch(branch, of_columns) for branch in passed})
    if names[0] != names[1]:
        combine = new.inputs.join.config.type if new.inputs is not None else ""
        raise ShapeError(
            f"the columns differ, and {combine} joins the numbers of an input without layers one "
            "by one: give it layers, or the columns of the run",
            ("combine",),
        )


def input_names(fitted: FittedData) -> _Names:
    """Return what each number is of all columns, dense and then embedded ones."""
    dense = [
        (column.name, part)
        for column in columns(fitted, False)
        if not isinstance(column, FileColumn)
        for part in column.parts
    ]
    embedded = [
        (column.name, f"embedding {number}")
        for column in columns(fitted, True)
        if column.embedding is not None
        for number in range(column.embedding.dim)
    ]
    return [*dense, *embedded]


def columns(fitted: FittedData, is_embedded: bool) -> list[Column]:
    """Return the columns that are embedded, or those that are not."""
    return [one for one in fitted.columns if (one.embedding is not None) == is_embedded]


def _of_branch(branch: PlannedBranch, names: _Names) -> _Names:
    return [name for name in names if name[0] in branch.columns.names]


def _joined_names(network: Network, names: _Names) -> _Names:
    """Return what each number after the join is: a column's, or an output of an input's layers."""
    assert network.plan.inputs is not None, "the network has several inputs"
    found: _Names = []
    for branch in network.plan.inputs.branches:
        if all(map(_passes_columns, branch.layers)):
            found += _of_branch(branch, names)
        else:
            number = math.prod(branch.output_shape)
            found += ((f"input {branch.name}", str(place)) for place in range(number))
    return found


def _passes_columns(layer: PlannedLayer) -> bool:
    """Say whether each number behind a layer is that of a column before it."""
    traits = layer.config.traits
    is_all_there = math.prod(layer.output_shape) == math.prod(layer.input_shape)
    return (traits.keeps_positions or traits.passes_input_on) and is_all_there
