"""Layers with a weight matrix or filters: what they share, and how their weights begin."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, assert_never

from pydantic import BeforeValidator, Field, model_validator

from dlcli.layers.activations import ActivationName
from dlcli.layers.base import (
    Layer,
    PlannedLayer,
    Shape,
    ShapeError,
    TensorAxes,
    UpdateFactors,
    walk_layers,
)
from dlcli.section import NonNegativeFloat, PositiveFloat, Section

if TYPE_CHECKING:
    from torch import Tensor, nn

Initialisation = Literal[
    "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
    "orthogonal", "truncated_normal", "normal", "zeros",
]  # fmt: skip

_MAX_FLOAT32 = 3.4e38

Numbers = tuple[Any, ...]  # floats, nested to any depth and rectangular


def _shape_of(numbers: Numbers | float) -> Shape:
    """Return the shape of nested numbers; ValueError where they are not rectangular."""
    if isinstance(numbers, bool) or not isinstance(numbers, int | float | tuple | list):
        raise ValueError(f"must hold numbers only, not {numbers!r}")
    if isinstance(numbers, int | float):
        if not abs(numbers) <= _MAX_FLOAT32:  # as NaN isn't
            raise ValueError(f"{numbers!s:.20} is too large for float32")
        return ()
    shapes = {_shape_of(item) for item in numbers}
    if len(shapes) > 1:
        raise ValueError("its rows differ in length")
    return (len(numbers), *(shapes.pop() if shapes else ()))


def _to_numbers(value: object) -> object:
    """Turn lists into tuples of floats, so that a config stays frozen."""
    if isinstance(value, list | tuple):
        return tuple(_to_numbers(item) for item in value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_numbers(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of numbers, not {value!r}")
    _shape_of(tuple(value))
    return _to_numbers(value)


NestedNumbers = Annotated[Numbers, BeforeValidator(_check_numbers)]


class InitialValues(Section):
    """Weights to start from, in PyTorch's shapes."""

    weight: NestedNumbers | None = Field(
        None, description="for dense: one row per unit, one number per feature"
    )
    bias: NestedNumbers | None = Field(None, description="one number per unit or channel")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weight is None and self.bias is None:
            raise ValueError("give `weight`, `bias` or both")
        return self


class LrFactors(Section):
    """What the learning rate is multiplied by, as with PyTorch's parameter groups."""

    weight: PositiveFloat = Field(1.0, description="factor of the weight's learning rate")
    bias: PositiveFloat = Field(1.0, description="factor of the bias's learning rate")


class WeightDecayFactors(Section):
    """What the weight decay is multiplied by, as with PyTorch's parameter groups."""

    weight: NonNegativeFloat = Field(1.0, description="factor of the weight's decay")
    bias: NonNegativeFloat = Field(1.0, description="factor of the bias's decay; 0: none")


class WeightedLayer(Layer):
    """A linear map with a weight and a bias, and an activation function after it."""

    activation: ActivationName | None = Field(
        None, description="activation function applied to the layer's output"
    )
    bias: bool = Field(True, description="add a learned bias to each unit or channel")
    init: Initialisation = Field(
        "default",
        description="how the weights are drawn; `default` is PyTorch's, `normal` has the variance "
        "1 / inputs of a unit",
    )
    initial: InitialValues | None = Field(None, description="weights to start from, as numbers")
    lr_factor: LrFactors | None = Field(
        None, description="learning rates of its weight and its bias, as factors; default: 1"
    )
    weight_decay_factor: WeightDecayFactors | None = Field(
        None, description="weight decay of its weight and its bias, as factors; default: 1"
    )

    @model_validator(mode="after")
    def _check_initial(self) -> Self:
        if self.initial is not None:
            if self.initial.bias is not None and not self.bias:
                raise ValueError("`initial.bias` has no effect where `bias` is false")
            if self.initial.weight is not None and self.init != "default":
                raise ValueError("`init` has no effect where `initial.weight` is given")
        for name in ("lr_factor", "weight_decay_factor"):
            factors = getattr(self, name)
            if factors is not None and factors.bias != 1 and not self.bias:
                raise ValueError(f"`{name}.bias` has no effect where `bias` is false")
        return self

    @property
    def update_factors(self) -> dict[str, UpdateFactors]:
        """The factors of its weight and its bias."""
        lr = self.lr_factor or LrFactors()
        decay = self.weight_decay_factor or WeightDecayFactors()
        found = {
            "weight": UpdateFactors(lr.weight, decay.weight),
            "bias": UpdateFactors(lr.bias, decay.bias),
        }
        return {name: factors for name, factors in found.items() if factors != UpdateFactors()}

    @property
    def is_affine(self) -> bool:
        """It has a weight, and a bias."""
        return True

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of its output, units or channels first; ShapeError where none is."""

    @abstractmethod
    def weight_shape(self, shape: Shape) -> Shape:
        """Return the shape of its weight, as PyTorch has it, units or channels first."""

    def weight_scale(self, shape: Shape) -> float:  # noqa: ARG002 - for those that have one
        """Return what the weight is multiplied by in the forward pass, for an input shape."""
        return 1.0

    @abstractmethod
    def receptive_field(self, position: Shape) -> tuple[tuple[int, int], ...] | None:
        """Return what the output at a position sees of the input: start and length by axis.

        Positions leave out the channels; a field may reach beyond the input. None: sees all of it.
        """

    @abstractmethod
    def build_linear(self, shape: Shape) -> "nn.Linear | nn.Conv1d | nn.Conv2d":
        """Build the module for an input shape, as PyTorch initialises it."""

    def plan(self, shape: Shape) -> PlannedLayer:
        """Count a weight for each use: at every position of the output."""
        after, weight = self.output_shape(shape), self.weight_shape(shape)
        self._check_initial_shapes(weight)
        num_weights = math.prod(weight)
        return PlannedLayer(
            self,
            shape,
            after,
            num_parameters=num_weights + (after[0] if self.bias else 0),
            multiply_adds=num_weights * math.prod(after[1:]),
            num_kept=math.prod(after),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return its weight and, where it has one, its bias."""
        shape = self.weight_shape(planned.input_shape)
        scale = self.weight_scale(planned.input_shape)
        found = {"weight": TensorAxes(shape, inputs=1, outputs=0, scale=scale)}
        return {**found, "bias": TensorAxes(shape[:1], outputs=0)} if self.bias else found

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it, and set its weights as the config says.

        Draws by name set the bias to zero, as is usual with them; PyTorch's default draws it. What
        is drawn is what the layer computes with: a weight that is scaled is divided by its scale.
        """
        import torch

        module = self.build_linear(planned.input_shape)
        with torch.no_grad():
            if self.init != "default":
                draw(module.weight, self.init)
                if module.bias is not None:
                    module.bias.zero_()
            if (scale := self.weight_scale(planned.input_shape)) != 1:
                module.weight.div_(scale)
            if self.initial is not None and self.initial.weight is not None:
                module.weight.copy_(torch.tensor(self.initial.weight))
            if self.initial is not None and self.initial.bias is not None:
                assert module.bias is not None, "the config forbids it"
                module.bias.copy_(torch.tensor(self.initial.bias))
        return module

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to its result, as a module of its own."""
        return self.activation

    @property
    def has_default_start(self) -> bool:
        """Whether its weights begin as PyTorch's layers do."""
        return self.init == "default" and self.initial is None

    @property
    def fixes_input_size(self) -> bool:
        """Whether it takes inputs of one size only: that of the weights given."""
        return self.initial is not None

    def _check_initial_shapes(self, weight_shape: Shape) -> None:
        if self.initial is None:
            return
        for name, numbers, expected in (
            ("weight", self.initial.weight, weight_shape),
            ("bias", self.initial.bias, weight_shape[:1]),
        ):
            if numbers is not None and _shape_of(numbers) != expected:
                raise ShapeError(
                    f"has the shape {list(_shape_of(numbers))}; the layer expects {list(expected)}",
                    ("initial", name),
                )


def draw(weight: "Tensor", name: Initialisation) -> None:
    """Draw a weight anew, in place, from torch's state; `default`: it stays as it is."""
    from torch import nn

    match name:
        case "default":
            pass
        case "kaiming_uniform":
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        case "kaiming_normal":
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        case "xavier_uniform":
            nn.init.xavier_uniform_(weight)
        case "xavier_normal":
            nn.init.xavier_normal_(weight)
        case "orthogonal":
            nn.init.orthogonal_(weight)
        case "truncated_normal":
            nn.init.trunc_normal_(weight, std=0.02)
        case "normal":
            nn.init.normal_(weight, std=math.prod(weight.shape[1:]) ** -0.5)
        case "zeros":
            nn.init.zeros_(weight)
        case _:
            assert_never(name)


def initial_weights(layers: Sequence[Layer]) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each `initial` in layers, inner ones too."""
    for path, layer in walk_layers(layers):
        if isinstance(layer, WeightedLayer) and layer.initial is not None:
            yield (*path, "initial")
