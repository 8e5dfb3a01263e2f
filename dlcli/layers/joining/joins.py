"""How branches are joined: one class each, a layer that takes what all branches give."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, assert_never, final

from dlcli.layers.base import Layer, PlannedLayer, Shape, ShapeError, TensorAxes, Traits

if TYPE_CHECKING:
    from torch import nn

Combine = Literal["concat", "sum", "attention"]

_TRAITS = Traits(
    keeps_positions=False,
    passes_input_on=False,
    has_filters=False,
    row_mixing=None,
    at_end="refuses",
    stacking_obstacle=None,
    recording_obstacle=None,
)


class Join(Layer):
    """Takes the outputs of all branches, in their order; its module, a list of them."""

    def plan_inputs(self, shapes: Mapping[str, Shape]) -> PlannedLayer:
        """Plan it for what each branch gives, by the branch's name.

        Raises ShapeError with the path to the branch in the config's `inputs` that doesn't fit.
        """
        for name, shape in shapes.items():
            if len(shape) != 1:
                layer = "{type: global_avg_pool} or {type: flatten}"
                raise ShapeError(
                    f"gives {list(shape)}, and only [features] can be joined with other inputs: "
                    f"end its layers with {layer}",
                    (name, "layers"),
                )
        return self.plan(self.joined_shape({name: size for name, (size,) in shapes.items()}))

    @abstractmethod
    def joined_shape(self, sizes: Mapping[str, int]) -> Shape:
        """Return what stands for all of its inputs in its plan, by the features of each.

        Raises ShapeError where they don't go together.
        """


@final
class Concat(Join):
    """The features of each input behind those of the one before."""

    type: Literal["concat"]

    traits: ClassVar[Traits] = _TRAITS

    def joined_shape(self, sizes: Mapping[str, int]) -> Shape:
        """Return `[features]`, those of all inputs together."""
        return (sum(sizes.values()),)

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[features]`, and give it back; they are copied."""
        return PlannedLayer(
            self, shape, shape, num_parameters=0, multiply_adds=0, num_kept=math.prod(shape)
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build a module that concatenates."""
        from dlcli.layers.joining.modules import Concatenation

        return Concatenation()


class _OfEqualSizes(Join):
    """Joins inputs of equal size, `[inputs, features]` together, to `[features]`."""

    def joined_shape(self, sizes: Mapping[str, int]) -> Shape:
        """Return `[inputs, features]`; ShapeError where the numbers of features differ."""
        if len({*sizes.values()}) > 1:
            given = ", ".join(f"{name} {size}" for name, size in sizes.items())
            largest = max(sizes.values())
            name = next(name for name, size in sizes.items() if size != largest)
            raise ShapeError(
                f"combine: {self.type} needs inputs of equal size, but the features are: {given}; "
                f"end the layers of each with the same number of units, as in {{type: dense, "
                f"units: {largest}}}, or use combine: concat",
                (name, "layers"),
            )
        return (len(sizes), next(iter(sizes.values())))


@final
class Sum(_OfEqualSizes):
    """The sum of the inputs, feature by feature."""

    type: Literal["sum"]

    traits: ClassVar[Traits] = _TRAITS

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[inputs, features]`; nothing of the inputs is needed to go back."""
        return PlannedLayer(
            self, shape, shape[1:], num_parameters=0, multiply_adds=0, num_kept=shape[1]
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build a module that adds."""
        from dlcli.layers.joining.modules import Addition

        return Addition()


@final
class Attention(_OfEqualSizes):
    """The mean of the inputs, weighted in each row by a softmax of learned scores.

    The score of an input h is u · tanh(W h + b), with W, b and u the same for all inputs: the
    attention of Yang et al. 2016, "Hierarchical Attention Networks for Document Classification",
    equations 5 to 7 (aclanthology.org/N16-1174), over inputs in place of words.
    """

    type: Literal["attention"]

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        at_end="refuses",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[inputs, features]`; the hidden layer of the score has as many units as features.

        Kept are the inputs side by side, tanh, a weight each, and the result.
        """
        number, size = shape
        return PlannedLayer(
            self,
            shape,
            (size,),
            num_parameters=size * size + 2 * size,
            multiply_adds=number * (size * size + size),
            num_kept=2 * number * size + number + size,
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return W and b, and u as the one output of a layer."""
        size = planned.input_shape[1]
        return {
            "hidden.weight": TensorAxes((size, size), inputs=1, outputs=0),
            "hidden.bias": TensorAxes((size,), outputs=0),
            "score.weight": TensorAxes((1, size), inputs=1, outputs=0),
        }

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it; the weights begin as those of nn.Linear."""
        from dlcli.layers.joining.modules import AttentionMean

        return AttentionMean(planned.input_shape[1])


def join_of(combine: Combine) -> Join:
    """Return how a config joins its inputs."""
    match combine:
        case "concat":
            return Concat(type="concat")
        case "sum":
            return Sum(type="sum")
        case "attention":
            return Attention(type="attention")
        case _:
            assert_never(combine)
