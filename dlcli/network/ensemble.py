"""Where the members of an ensemble begin, and what of each layer is each member's own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from dlcli.config.sections.ensemble import EnsembleConfig, Share
from dlcli.layers.base import Members, PlannedLayer, Shape, ShapeError, require_axes
from dlcli.layers.sequence import columns_after
from dlcli.layers.weights import WeightedLayer
from dlcli.losses import Loss

MEMBERS = "members"  # the module that gives each member its rows
ADAPTER = f"{MEMBERS}.weight"  # its factors for each member, [members, features]
MEMBERS_MEAN = "members_mean"  # the one that makes one prediction of theirs


@dataclass(frozen=True)
class PlannedEnsemble:
    """The members of a network, all its layers known."""

    config: EnsembleConfig
    loss: Loss  # it says what the mean of predictions is
    first: int  # place of the first layer that each member computes
    columns: tuple[int, ...]  # of each of its inputs: those of one column begin with one factor

    @property
    def num_members(self) -> int:
        """The number of networks."""
        return self.config.members

    @property
    def num_features(self) -> int:
        """Numbers in a row where the members begin."""
        return len(self.columns)

    @property
    def has_adapter(self) -> bool:
        """Whether each member has factors for what it is given."""
        return self.config.share != "none"

    @property
    def matrices(self) -> list[Shape]:
        """The shape of those factors."""
        return [(self.num_members, self.num_features)] if self.has_adapter else []

    @property
    def num_parameters(self) -> int:
        """Those factors."""
        return sum(map(math.prod, self.matrices))

    @property
    def num_kept(self) -> int:
        """Numbers of one row that are kept for the backward pass: each member's inputs."""
        return self.num_members * self.num_features


def plan_ensemble(
    layers: Sequence[PlannedLayer],
    config: EnsembleConfig,
    *,
    loss: Loss,
    columns: Sequence[int],
) -> tuple[PlannedEnsemble, tuple[PlannedLayer, ...]]:
    """Plan the members of a network; `columns` say of which column each of its inputs is.

    Raises ShapeError, with the path inside of `layers`, where members can't compute one.
    """
    first = next((place for place, layer in enumerate(layers) if _has_dense(layer)), None)
    if first is None:
        raise ShapeError("an ensemble needs a dense layer, at which its members begin")
    require_axes(layers[first].input_shape, 1)
    last = max(place for place, layer in enumerate(layers) if layer.config.with_outputs(1))
    if first == last and config.share == "batch":
        raise ShapeError(
            "is each member's own, as the last dense layer, so that members share nothing; put a "
            "dense layer before it, or use share: none",
            (last,),
        )
    planned = list(layers)
    for place in range(first, len(layers)):
        separate = "all" if place == last else _separate(config.share)
        is_input_scaled = config.share == "batch" and place == first
        try:
            planned[place] = layers[place].config.plan_members(
                layers[place], Members(config.members, separate, is_input_scaled=is_input_scaled)
            )
        except ShapeError as error:
            raise ShapeError(str(error), (place, *error.path)) from None
    reached = columns_after(layers[:first], columns)
    if reached is None:  # one factor for each number
        reached = range(layers[first].input_shape[0])
    return PlannedEnsemble(config, loss, first, tuple(reached)), tuple(planned)


def _separate(share: Share) -> Literal["nothing", "vectors", "all"]:
    """Return what of a hidden layer's parameters is each member's own."""
    match share:
        case "batch":
            return "vectors"
        case "mini":
            return "nothing"
        case "none":
            return "all"
        case _:
            assert_never(share)


def _has_dense(layer: PlannedLayer) -> bool:
    """Say whether a layer is a linear map of features, or is made of such."""
    if layer.inner:
        return any(map(_has_dense, layer.inner))
    return isinstance(layer.config, WeightedLayer) and len(layer.input_shape) == 1
