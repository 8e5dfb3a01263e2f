"""The interface of all layers, and what is said of them.

Shapes are by arithmetic alone, and leave out the batch.

A layer type is one final class: its section of the config, with the answer to every question that
the program has about it. The rest of the program asks and names no type.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Self, TypeVar

from dlcli.columns.base import NumericInput
from dlcli.layers.activations import ActivationName
from dlcli.section import Section

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor, nn

FLOAT_BYTES = 4  # float32

Shape = tuple[int, ...]
# Start and length along each axis but the channels; a region may reach beyond the array.
Region = tuple[tuple[int, int], ...]

AXES = {1: "[features]", 2: "[channels, length]", 3: "[channels, height, width]"}

_Value = TypeVar("_Value")


class ShapeError(Exception):
    """A layer can't take the shape that reaches it. `path` leads to it inside of nested layers."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def require_axes(shape: Shape, num_axes: int, hint: str = "") -> None:
    """Raise ShapeError, ending in the hint, unless the shape has so many axes."""
    if len(shape) != num_axes:
        raise ShapeError(f"expects {AXES[num_axes]}, got {list(shape)}{hint}")


@dataclass(frozen=True)
class RowMixing:
    """In training, a row's output depends on the other rows of its batch."""

    alternative: str  # the layer type to use for batches that are too small


# What a layer does where rows, [channels, length], end before the longest of their batch does.
# - each: it computes each position by itself, so that what is behind an end stays there.
# - masks: it mixes positions, is told where rows end, and gives a sequence again.
# - ends: it is told where rows end, and gives [features].
# - refuses: it mixes positions and can't be told, or takes no sequences.
AtEnd = Literal["each", "masks", "ends", "refuses"]


@dataclass(frozen=True)
class Traits:
    """What holds for a layer type; no defaults, so that each type says it.

    What depends on settings is said by a property `traits`.
    """

    keeps_positions: bool  # each number of the output, in row-major order, stands for the input's
    passes_input_on: bool  # nothing is computed: the input in another shape, or parts of it dropped
    has_filters: bool  # parameters of two axes or more hold a filter for each output
    row_mixing: RowMixing | None  # None: each row is computed by itself
    at_end: AtEnd  # its module takes the lengths of rows where it masks or ends them
    stacking_obstacle: str | None  # why torch.func.vmap can't compute it for several networks
    recording_obstacle: str | None  # why its operations can't be recorded and replayed


class Setting(NamedTuple, Generic[_Value]):
    """A key of a layer's section, and its value."""

    key: str
    value: _Value


class TensorAxes(NamedTuple):
    """A tensor of a layer's module, and which of its axes stand for what goes in and comes out."""

    shape: Shape
    inputs: int | None = None  # the axis along the features or channels of the layer's input
    outputs: int | None = None  # the axis along those of its output
    scale: float = 1.0  # what it is multiplied by before it is used


class UpdateFactors(NamedTuple):
    """By how much the optimizer's settings are multiplied for a tensor."""

    lr: float = 1.0
    weight_decay: float = 1.0


@dataclass(frozen=True)
class FirstInput:
    """What the first layer of a network, or of one of its inputs, gets."""

    shape: Shape  # of the longest row, where they differ
    numeric: tuple[NumericInput, ...] = ()  # the numbers of a row that are numeric columns
    num_codes: int | None = None  # of codes [length] that an embedding looks up; None: numbers
    is_ragged: bool = False  # rows differ in length, along the last axis


@dataclass(frozen=True)
class Members:
    """The members of an ensemble that compute a layer: their rows are one batch, [members · rows].

    The rows of a member are side by side.
    """

    number: int
    # What of the layer's parameters each member has for itself: none, vectors for each input and
    # output of a matrix that all share, or all of them.
    separate: Literal["nothing", "vectors", "all"]
    is_input_scaled: bool = False  # for each member, just before the layer


@dataclass(frozen=True)
class PlannedLayer:
    """A layer with nothing left open, its input known; shapes are without the batch."""

    config: "Layer"
    input_shape: Shape
    output_shape: Shape
    num_parameters: int
    multiply_adds: int  # of a row: multiplications by weights, each with its addition
    num_kept: int  # numbers of a row that are kept for the backward pass
    # Of a layer that is made of layers: those of each branch, by its name in the module.
    branches: tuple[tuple[str, tuple["PlannedLayer", ...]], ...] = ()
    members: Members | None = None  # None: computed once; otherwise, costs are those of all members
    numeric: tuple[NumericInput, ...] = ()  # the numeric columns, of a layer that takes columns
    num_codes: int | None = None  # of a layer that looks codes up

    @property
    def inner(self) -> tuple["PlannedLayer", ...]:
        """The layers that it is made of, branch by branch."""
        return tuple(layer for _, layers in self.branches for layer in layers)

    @property
    def numbered_inner(self) -> Iterator[tuple[str, "PlannedLayer"]]:
        """The same with their places: those of the first branch by number, `shortcut.0` others."""
        for branch, (key, layers) in enumerate(self.branches):
            for index, layer in enumerate(layers):
                yield f"{key}.{index}" if branch else str(index), layer

    @property
    def num_direct_parameters(self) -> int:
        """Its parameters without those of the layers that it is made of."""
        return self.num_parameters - sum(layer.num_parameters for layer in self.inner)

    def activation_bytes(self, batch_size: int) -> int:
        """Return the memory of a batch's activations, kept for the backward pass."""
        return self.num_kept * batch_size * FLOAT_BYTES

    def computed_by(self, members: Members) -> "PlannedLayer":
        """Return it with the operations and the memory of all members, its parameters shared."""
        return replace(
            self,
            multiply_adds=self.multiply_adds * members.number,
            num_kept=self.num_kept * members.number,
            members=members,
        )


@dataclass(frozen=True)
class GivenWeights:
    """What a layer begins with, of weights that were trained elsewhere."""

    tensors: Mapping[str, "np.ndarray"]  # all of its module's state by name
    mean: tuple[float, ...]  # of the images that they are made for, by channel, in 0 to 255
    std: tuple[float, ...]
    source: str  # what they are, in words


class Layer(Section, ABC):
    """A layer's section of the config."""

    if TYPE_CHECKING:
        type: str  # each type's own literal

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """What holds for its type."""

    @abstractmethod
    def plan(self, shape: Shape) -> PlannedLayer:
        """Say what the layer makes of an input shape, and what it costs.

        Raises ShapeError where it can't take the shape, saying what it expects.
        """

    @abstractmethod
    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build the module, as planned, on the CPU in float32, drawing weights from torch's state.

        `activation_after` is a module of its own that follows this one.
        """

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Say what members of an ensemble make of what was planned for a single network.

        Raises ShapeError where they can't compute it. A layer whose parameters can be each member's
        own says how; others are shared.
        """
        if self.traits.row_mixing is not None:
            raise ShapeError(
                f"the members of an ensemble would influence each other through {self.type}; use "
                f"{self.traits.row_mixing.alternative}, or put it before the first dense layer"
            )
        if planned.num_parameters and members.separate != "nothing":
            raise ShapeError(
                f"the weights of {self.type} can't be each member's own; put it before the first "
                "dense layer, where all members share what is computed, or use share: mini"
            )
        return planned.computed_by(members)

    @property
    def takes_columns(self) -> bool:
        """Whether it needs to know the columns, which only the first layer of a network does."""
        return False

    def plan_columns(self, given: FirstInput) -> PlannedLayer:
        """Plan it as the first layer of a network, or of an input; ShapeError as `plan` does."""
        if given.num_codes is not None:
            raise ShapeError(
                f"{self.type} can't take tokens, which are codes; put {{type: embedding, dim: 32}} "
                "before it"
            )
        return self.plan(given.shape)

    @property
    def num_bins(self) -> int | None:
        """How many bins of each numeric column it is to be given; None: it needs none."""
        return None

    def columns_after(self, planned: PlannedLayer, columns: Sequence[int]) -> Sequence[int] | None:
        """Say of which column each number of its output is; None: it mixes columns.

        `columns` say that of its input.
        """
        del planned
        return columns if self.traits.keeps_positions else None

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return the region of its input that a region of its output is computed from.

        None: all of the input, or it isn't known. Statistics of a whole row, by which norms scale
        it, are left out, as is usual (Araujo et al. 2019, "Computing receptive fields of
        convolutional neural networks").
        """
        keeps_shape = planned.input_shape == planned.output_shape
        return region if self.traits.keeps_positions and keeps_shape and region else None

    @property
    def starts_from_rows(self) -> bool:
        """Whether its weights begin with statistics of training rows."""
        return False

    def start_from_rows(
        self,
        planned: PlannedLayer,
        module: "nn.Module",
        inputs: "Tensor",
        generator: "Generator",
    ) -> None:
        """Set its module's weights by what reaches it of some rows, [rows, *shape].

        Called with gradients off, where `starts_from_rows`; draws are the generator's.
        """

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:  # noqa: ARG002
        """Return the tensors of its module's state by name, without those of layers inside."""
        return {}

    @property
    def weights_key(self) -> Setting[str] | None:
        """The key that says which trained weights it begins with; None: it doesn't."""
        return None

    def given_weights(self, planned: PlannedLayer, folder: Path) -> GivenWeights:
        """Return those weights; paths are relative to the folder.

        Asked where `weights_key` is given. Raises ShapeError where they can't be had, or don't fit.
        """
        raise NotImplementedError(f"{self.type} begins with weights that are drawn")

    def with_moved_files(self, source: Path, destination: Path) -> Self:  # noqa: ARG002
        """Return it with the paths in it relative to another folder."""
        return self

    @property
    def update_factors(self) -> Mapping[str, UpdateFactors]:
        """The factors of its module's parameters by name, where any of them isn't 1."""
        return {}

    def min_rows(self, shape: Shape) -> int:  # noqa: ARG002 - for those that mix rows
        """Return how many rows of an input shape a training batch needs."""
        return 1

    @property
    def branches(self) -> Mapping[str, tuple["Layer", ...]]:
        """The layers that it is made of, by the key that they stand under in its section.

        Those that follow from the shape of its input are in its plan alone.
        """
        return {}

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to its result, as a module of its own."""
        return None

    @property
    def applied_activation(self) -> ActivationName | None:
        """The activation function that its output comes from."""
        return self.activation_after

    @property
    def has_default_start(self) -> bool:
        """Whether its weights begin as PyTorch's layers do."""
        return True

    @property
    def fixes_input_size(self) -> bool:
        """Whether it takes inputs of one size only, so that layers before can't be resized."""
        return False

    @property
    def dropped_share(self) -> Setting[float] | None:
        """The share of numbers that are set to zero in training; None: it is no such layer."""
        return None

    @property
    def has_attention(self) -> bool:
        """Whether its module says by `attention_weights` which positions count how much."""
        return False

    @property
    def is_affine(self) -> bool:
        """Whether it multiplies its input by weights and adds biases, its activation aside."""
        return False

    @property
    def is_linear(self) -> bool:
        """Whether that is all that it does."""
        return self.is_affine and self.activation_after is None

    @property
    def removes_means(self) -> bool:
        """Whether it takes the mean of each feature or channel away, and so a bias before it."""
        return False

    def repeats(self, before: "Layer") -> bool:  # noqa: ARG002 - for those that can
        """Say whether it does again what the layer before has done."""
        return False

    def why_idle(self, planned: PlannedLayer) -> str | None:  # noqa: ARG002 - for those that can
        """Say why it leaves its input as it is; None where it doesn't."""
        return None

    def idle_settings(self, planned: PlannedLayer) -> dict[str, str]:  # noqa: ARG002 - the same
        """Return the settings that have no effect on its input, each with the reason."""
        return {}

    @property
    def width(self) -> Setting[int] | None:
        """The number of units, where it is a setting that nothing but what follows depends on."""
        return None

    def with_outputs(self, num_outputs: int) -> Self | None:  # noqa: ARG002 - for those that can
        """Return the layer with so many outputs, unless it says how many; None: it can't be open.

        The last layer that returns one takes its outputs from the target.
        """
        return None
