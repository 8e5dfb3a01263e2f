"""A trained network's weights → those that another network begins with, matched by name.

Layers with weights are matched in their order, those of several inputs and heads by their names.
Where columns or classes differ, the first layer's numbers are matched by column, and the last
layer's by class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.data.fitted import FittedData
from dlcli.layers.base import PlannedLayer, ShapeError, TensorAxes
from dlcli.layers.sequence import module_name
from dlcli.network.branches.heads import OUTPUTS
from dlcli.network.branches.planning import INPUTS
from dlcli.network.column_matching import Network, columns, layers_by_column
from dlcli.network.ensemble import ADAPTER
from dlcli.network.plan import EMBEDDINGS, Plan
from dlcli.targets.base import Target

_Branch = tuple[str, str]  # `inputs` or `outputs`, and the name of a column or a target
_Changed = tuple[tuple[str | int, ...], object, object]  # the path of a setting; before and after
# Settings that shapes show, or that don't change what trained weights compute.
_COMPARED_OTHERWISE = {
    "type",
    "units",
    "bias",
    "init",
    "bias_init",
    "initial",
    "layers",
    "shortcut",
    "momentum",
    "lr_factor",
    "weight_decay_factor",
    "parametrization",
}


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with its weights, and what they were trained on."""

    plan: Plan
    fitted: FittedData
    weights: Mapping[str, np.ndarray]  # by name


@dataclass(frozen=True)
class Start:
    """What another network begins with."""

    weights: dict[str, np.ndarray]  # all of its state by name; NaN where it is drawn as usual
    new: tuple[str, ...]  # columns, parts of them and classes that are drawn
    dropped: tuple[str, ...]  # those of the trained network that are not needed
    changed: tuple[_Changed, ...]  # what else matched layers differ in


@dataclass(frozen=True)
class _Weighted:
    """A layer with weights."""

    path: tuple[str | int, ...]
    name: str  # of its module
    planned: PlannedLayer
    tensors: Mapping[str, TensorAxes]

    @property
    def branch(self) -> _Branch | None:
        """The input or the head whose layer it is; None: it is one that all of them share."""
        return (str(self.path[0]), str(self.path[1])) if self.path[0] != "layers" else None


def start_from(trained: TrainedNetwork, plan: Plan, fitted: FittedData) -> Start:
    """Match a trained network's weights with those of a plan for other data.

    Raises ShapeError, with the path inside of `model`, where they don't match.
    """
    _refuse_other_inputs(trained.plan, plan)
    pairs, alone = _paired(trained.plan, plan)
    _refuse_other_members(trained.plan, plan)
    by_column = layers_by_column(Network(trained.plan, trained.fitted), Network(plan, fitted))
    outputs = _outputs_that_differ(trained, plan, fitted, pairs)
    weights = _embeddings(trained.fitted, fitted, trained.weights)
    weights |= _pixel_scalings(trained, plan)
    for layer in alone:
        for key, axes in layer.tensors.items():
            weights[f"{layer.name}.{key}"] = np.full(axes.shape, np.nan, np.float32)
    for old, new in pairs:
        if old.planned.config.type != new.planned.config.type:
            raise ShapeError(f"is {new.planned.config.type}; in the run, {old.name}", new.path)
        matched = outputs.get(new.name)
        if matched is not None and not _gives_outputs(new):
            raise ShapeError("can't be matched by class, and the classes differ", new.path)
        for key in {**old.tensors, **new.tensors}:
            if key not in old.tensors or key not in new.tensors:
                where = "here" if key in new.tensors else "in the run"
                raise ShapeError(f"has a {key} {where} only", new.path)
            axes, values = new.tensors[key], trained.weights[f"{old.name}.{key}"]
            if new.name in by_column and axes.inputs is not None:
                values = _taken(values, axes.inputs, by_column[new.name])
            if matched is not None:
                values = matched.of(values)
            if values.shape != axes.shape:
                raise ShapeError(
                    f"{key} has the shape {list(axes.shape)}; in the run, {list(values.shape)}",
                    new.path,
                )
            if (factor := old.tensors[key].scale / axes.scale) != 1:
                values = (values * factor).astype(values.dtype)
            weights[f"{new.name}.{key}"] = values
    if plan.ensemble is not None and plan.ensemble.has_adapter:
        place = plan.ensemble.first
        places = by_column.get(module_name(place, plan.layers[place].config))
        factors = trained.weights[ADAPTER]
        weights[ADAPTER] = factors if places is None else _taken(factors, 1, places)
    return Start(
        weights,
        (
            *_more(fitted, trained.fitted),
            *_more_inputs(plan, trained.plan),
            *(name for differing in outputs.values() for name in differing.new),
        ),
        (
            *_more(trained.fitted, fitted),
            *_more_inputs(trained.plan, plan),
            *(name for differing in outputs.values() for name in differing.dropped),
        ),
        tuple(found for pair in pairs for found in _changed(*pair)),
    )


def _refuse_other_inputs(before: Plan, after: Plan) -> None:
    """Raise ShapeError where one network has several inputs, or they are joined otherwise."""
    old, new = (
        "a single input" if plan.inputs is None else f"{plan.inputs.join.config.type} of its inputs"
        for plan in (before, after)
    )
    if old != new:
        path = () if after.inputs is None else ("combine",)
        raise ShapeError(f"{new} here, {old} in the run (model.inputs, model.combine)", path)


def _paired(before: Plan, after: Plan) -> tuple[list[tuple[_Weighted, _Weighted]], list[_Weighted]]:
    """Return the layers with weights in pairs, and those of inputs that the run doesn't have.

    Raises ShapeError where an input, or what all share, has more such layers in one network.
    """
    old, new = _weighted(before), _weighted(after)
    pairs: list[tuple[_Weighted, _Weighted]] = []
    alone = []
    known, branches = _branches(before), _branches(after)
    inputs = [branch for branch in branches if branch[0] == INPUTS]
    heads = [branch for branch in branches if branch[0] != INPUTS]
    for branch in (*inputs, None, *heads):
        ours = [layer for layer in new if layer.branch == branch]
        if branch is not None and branch not in known:
            alone += ours
            continue
        theirs = [layer for layer in old if layer.branch == branch]
        if len(theirs) != len(ours):
            raise ShapeError(
                f"{_count(len(ours))} here, {_count(len(theirs))} in the run: "
                f"{', '.join(layer.name for layer in theirs)}",
                () if branch is None else (*branch, "layers"),
            )
        pairs += zip(theirs, ours, strict=True)
    return pairs, alone


def _more_inputs(plan: Plan, than: Plan) -> list[str]:
    """Return the inputs and heads with layers of their own that another network doesn't have."""
    known = _branches(than)
    branches = () if plan.inputs is None else plan.inputs.branches
    layers = {(INPUTS, one.name): one.layers for one in branches}
    layers |= {(OUTPUTS, head.name): head.layers for head in plan.heads}
    words = {INPUTS: "input", OUTPUTS: "output"}
    return [
        f"{words[where]} '{name}'"
        for (where, name), some in layers.items()
        if some and (where, name) not in known
    ]


def _branches(plan: Plan) -> list[_Branch]:
    branches = () if plan.inputs is None else plan.inputs.branches
    heads = [(OUTPUTS, head.name) for head in plan.heads]
    return [*((INPUTS, branch.name) for branch in branches), *heads]


def _refuse_other_members(before: Plan, after: Plan) -> None:
    """Raise ShapeError where the members of an ensemble are others, or share other weights."""
    old, new = (
        "a single network"
        if plan.ensemble is None
        else f"{plan.ensemble.num_members} members, share: {plan.ensemble.config.share}"
        for plan in (before, after)
    )
    if old != new:
        raise ShapeError(f"{new} here, {old} in the run (model.ensemble)")


def _changed(old: _Weighted, new: _Weighted) -> Iterator[_Changed]:
    """Yield the settings in which a layer differs from the one whose weights it gets."""
    configs = (old.planned.config, new.planned.config)
    before, after = (config.model_dump() for config in configs)
    dropped = {share.key for config in configs if (share := config.dropped_share) is not None}
    for key in after:
        if key not in _COMPARED_OTHERWISE | dropped and before[key] != after[key]:
            yield (*new.path, key), before[key], after[key]


@dataclass(frozen=True)
class _Outputs:
    """Matches what stands for each output: of a class each, of two classes one, or of a number."""

    before: tuple[str, ...]  # classes; none of a number
    after: tuple[str, ...]
    num_outputs: int  # after

    @classmethod
    def that_differ(
        cls, old: Target, new: Target, before: PlannedLayer, after: PlannedLayer
    ) -> "_Outputs | None":
        """Return what matches the outputs of last layers; None where they are the same."""
        [num_before], [num_after] = before.output_shape, after.output_shape
        if num_before == num_after and _are_alike(old, new):
            return None
        are_alike = (old.has_classes, old.has_order) == (new.has_classes, new.has_order)
        # An output of a label isn't one of a class, and of an order each is about several classes.
        matches = are_alike and not new.has_order
        return cls(old.score_names if matches else (), new.score_names, num_after)

    @property
    def new(self) -> list[str]:
        """What of the outputs is drawn as usual."""
        names = [f"class '{name}'" for name in self.after if name not in self.before]
        return names if self.before and self.after else ["the output"]

    @property
    def dropped(self) -> list[str]:
        """What of the outputs is not needed."""
        names = [f"class '{name}'" for name in self.before if name not in self.after]
        return names if self.before and self.after else ["the output"]

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return numbers [outputs, …] for the outputs after, NaN where one is new."""
        if not self.before or not self.after:
            return np.full((self.num_outputs, *values.shape[1:]), np.nan, np.float32)
        if len(values) < len(self.before):  # the logit of the second class against the first
            values = np.concatenate([-values / 2, values / 2])
        places = [self.before.index(name) if name in self.before else None for name in self.after]
        found = _taken(values, 0, places)
        return found[1:] - found[:1] if self.num_outputs < len(self.after) else found


def _are_alike(old: Target, new: Target) -> bool:
    """Say whether the outputs for two targets mean the same: numbers on the same scale, too."""
    if len(old.parts) > 1 or len(new.parts) > 1:
        if [part.name for part in old.parts] != [part.name for part in new.parts]:
            return False
        return all(map(_are_alike, old.parts, new.parts))
    kinds = [(one.has_classes, one.has_order, one.score_names) for one in (old, new)]
    return kinds[0] == kinds[1] and (bool(new.score_names) or old == new)


def _outputs_that_differ(
    trained: TrainedNetwork,
    plan: Plan,
    fitted: FittedData,
    pairs: Sequence[tuple[_Weighted, _Weighted]],
) -> "dict[str, _Outputs]":
    """Return what matches the outputs by the name of the layer that gives them, where they differ.

    With heads, each has its own last layer.
    """
    found: dict[str, _Outputs | None] = {}
    if not plan.heads:
        before, after = trained.plan.layers[-1], plan.layers[-1]
        target = trained.fitted.target
        last = pairs[-1][1].name
        found[last] = _Outputs.that_differ(target, fitted.target, before, after)
    heads = {head.name: head for head in trained.plan.heads}
    targets = {part.name: part for part in trained.fitted.target.parts}
    parts = {part.name: part for part in fitted.target.parts}
    for head in plan.heads:
        if head.name not in heads:
            continue
        part = parts[head.name]
        last = [new.name for _, new in pairs if new.branch == (OUTPUTS, head.name)][-1]
        before, after = heads[head.name].layers[-1], head.layers[-1]
        found[last] = _Outputs.that_differ(targets[head.name], part, before, after)
    return {name: differing for name, differing in found.items() if differing is not None}


def _gives_outputs(layer: _Weighted) -> bool:
    """Say whether the first axis of all that a layer holds is that of its outputs alone."""
    is_first = all(axes.outputs == 0 for axes in layer.tensors.values())
    return is_first and not layer.planned.config.traits.keeps_positions


def _count(number: int) -> str:
    return f"{number} layer{'s' * (number != 1)} with weights"


def _weighted(plan: Plan) -> list[_Weighted]:
    """Return the layers with weights, in their order."""
    both = zip(plan.placed(), plan.modules(), strict=True)
    return [
        _Weighted(path, name, planned, tensors)
        for (path, planned), (name, _) in both
        if (tensors := planned.config.tensors(planned))
    ]


def _embeddings(
    before: FittedData, after: FittedData, weights: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the tables of the embedded columns, matched by column and category."""
    known = {column.name: (place, column) for place, column in enumerate(columns(before, True))}
    found = {}
    for place, column in enumerate(columns(after, True)):
        table = column.embedding
        assert table is not None, "the column is embedded"
        values = np.full((table.num_codes, table.dim), np.nan, np.float32)
        if column.name in known:
            old_place, old = known[column.name]
            codes = {part: code for code, part in enumerate(old.parts)}
            places = [codes.get(part) for part in column.parts]
            values = _taken(weights[_table_name(old_place)], 0, places)
        found[_table_name(place)] = values
    return found


def _pixel_scalings(trained: TrainedNetwork, plan: Plan) -> dict[str, np.ndarray]:
    """Return how images are scaled: as in the run. Raises ShapeError where its images differ."""
    before, after = trained.plan.signature.pixels, plan.signature.pixels
    shapes = [[image.shape for image in images] for images in (after, before)]
    if shapes[0] != shapes[1]:
        raise ShapeError(f"it is given images {shapes[0]}; in the run, {shapes[1]} (data.images)")
    places = [f"{EMBEDDINGS}.pixels.{place}" for place in range(len(after))]
    names = [f"{place}.{key}" for place in places for key in ("mean", "std")]
    return {name: trained.weights[name] for name in names}


def _table_name(place: int) -> str:
    return f"{EMBEDDINGS}.tables.{place}.weight"


def _taken(values: np.ndarray, axis: int, places: Sequence[int | None]) -> np.ndarray:
    """Return the values at some places along an axis, NaN where there is none."""
    shape = (*values.shape[:axis], len(places), *values.shape[axis + 1 :])
    found = np.full(shape, np.nan, np.float32)
    known = [place for place, old in enumerate(places) if old is not None]
    olds = [old for old in places if old is not None]
    np.moveaxis(found, axis, 0)[known] = np.moveaxis(values, axis, 0)[olds]
    return found


def _more(fitted: FittedData, than: FittedData) -> list[str]:
    """Return the columns, and the parts of columns, that other data don't have."""
    known = {column.name: column for column in than.columns}
    found = []
    for column in fitted.columns:
        other = known.get(column.name)
        if other is None or other.kind != column.kind:
            found.append(f"'{column.name}'")
        else:
            parts = [part for part in column.parts if part not in other.parts]
            found += [f"'{column.name}' {part}" for part in parts]
    return found
