"""Layers with a weight matrix or filters: what they share, and how their weights begin."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from dlcli.layers.activations import ActivationName
from dlcli.layers.base import Layer, PlannedLayer, Shape, ShapeError, TensorAxes, UpdateFactors
from dlcli.layers.initialising.draws import (
    BiasInitialisation,
    Initialisation,
    draw,
    draw_bias,
    hull_biases,
    unit_deviations,
)
from dlcli.layers.initialising.initial_values import InitialValues, shape_of
from dlcli.section import NonNegativeFloat, PositiveFloat, Section

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


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
        "1 / inputs of a unit; `unit_variance`: then each unit's weights are scaled so that its "
        "outputs for up to 1,024 training rows, drawn by the seed, have the variance 1",
    )
    bias_init: BiasInitialisation = Field(
        "default",
        description="how biases begin; `default`: PyTorch's with `init: default`, otherwise 0; "
        "`normal`: variance 1; `data_hull`: minus a random mean of the unit's outputs for 5 of up "
        "to 1,024 training rows (he+5, arXiv:1903.11482), so that each unit bends amid the rows",
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
            if self.initial.bias is not None and self.bias_init != "default":
                raise ValueError("`bias_init` has no effect where `initial.bias` is given")
        if self.bias_init != "default" and not self.bias:
            raise ValueError("`bias_init` has no effect where `bias` is false")
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
        """Return the shape of its weight, as PyTorch has it."""

    # The axes of the weight along inputs and outputs: units or channels.
    weight_axes: ClassVar[tuple[int, int]] = (1, 0)

    def by_output(self, weight: "Tensor") -> "Tensor":
        """Return the weight, or numbers in its shape, with all that an output has along axis 0."""
        return weight

    def from_outputs(self, numbers: "Tensor") -> "Tensor":
        """Return what `by_output` gives in the weight's shape."""
        return numbers

    def num_uses(self, before: Shape, after: Shape) -> int:  # noqa: ARG002 - of what goes in
        """Return at how many positions of a row each weight is used, by the shapes of the row."""
        return math.prod(after[1:])

    def weight_scale(self, shape: Shape) -> float:  # noqa: ARG002 - for those that have one
        """Return what the weight is multiplied by in the forward pass, for an input shape."""
        return 1.0

    @abstractmethod
    def build_linear(
        self, shape: Shape
    ) -> "nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d":
        """Build the module for an input shape, as PyTorch initialises it."""

    def plan(self, shape: Shape) -> PlannedLayer:
        """Count a weight for each use."""
        after, weight = self.output_shape(shape), self.weight_shape(shape)
        self._check_initial_shapes(weight, after[:1])
        num_weights = math.prod(weight)
        return PlannedLayer(
            self,
            shape,
            after,
            num_parameters=num_weights + (after[0] if self.bias else 0),
            multiply_adds=num_weights * self.num_uses(shape, after),
            num_kept=math.prod(after),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return its weight and, where it has one, its bias."""
        shape = self.weight_shape(planned.input_shape)
        scale = self.weight_scale(planned.input_shape)
        inputs, outputs = self.weight_axes
        found = {"weight": TensorAxes(shape, inputs=inputs, outputs=outputs, scale=scale)}
        bias = TensorAxes(planned.output_shape[:1], outputs=0)
        return {**found, "bias": bias} if self.bias else found

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it, and set its weights as the config says.

        Draws by name set the bias to zero, as is usual with them; PyTorch's default draws it. What
        is drawn is what the layer computes with: a weight that is scaled is divided by its scale.
        """
        import torch

        module = self.build_linear(planned.input_shape)
        with torch.no_grad():
            if self.init != "default":
                drawn = self.by_output(module.weight)
                draw(drawn, self.init)
                module.weight.copy_(self.from_outputs(drawn))
            if module.bias is not None:
                draw_bias(module.bias, self.bias_init, self.init)
            if (scale := self.weight_scale(planned.input_shape)) != 1:
                module.weight.div_(scale)
            if self.initial is not None and self.initial.weight is not None:
                module.weight.copy_(torch.tensor(self.initial.weight))
            if self.initial is not None and self.initial.bias is not None:
                assert module.bias is not None, "the config forbids it"
                module.bias.copy_(torch.tensor(self.initial.bias))
        return module

    @property
    def starts_from_rows(self) -> bool:
        """Whether its weight or its bias depends on training rows."""
        return self.init == "unit_variance" or self.bias_init == "data_hull"

    def start_from_rows(
        self,
        planned: PlannedLayer,
        module: "nn.Module",
        inputs: "Tensor",
        generator: "Generator",
    ) -> None:
        """Scale the weight, and then set the bias, by the outputs for some rows.

        The variance is the population's; a unit with the same output for all rows keeps its
        weights. RealMLP's initialisation, pytabkit's `std` and `he+5`: the biases of Steinwart
        2019, "A sober look at neural network initializations". Members of an ensemble that have a
        bias, or a matrix, for themselves have it by their own outputs.
        """
        members = planned.members
        separate = "nothing" if members is None else members.separate
        number = members.number if members is not None and separate != "nothing" else 1
        weight = module.get_parameter("weight")
        outputs = module.forward(inputs)  # without the hooks
        outputs = outputs.double().unflatten(0, (number, -1)).transpose(1, 2).flatten(2)
        if self.bias:
            bias = module.get_parameter("bias")
            outputs = outputs - bias.view(number, -1, 1)  # [members, units, rows × positions]
        if self.init == "unit_variance":
            by_matrix = outputs if separate == "all" else outputs.transpose(0, 1).flatten(1)[None]
            deviations = unit_deviations(by_matrix)  # [matrices, units]
            ones = (1 for _ in range(weight.dim() - (2 if separate == "all" else 1)))
            shape = deviations.shape if separate == "all" else deviations.shape[1:]
            weight.copy_(self.from_outputs(self.by_output(weight) / deviations.view(*shape, *ones)))
            outputs = outputs / deviations[:, :, None]
        if self.bias_init == "data_hull":
            bias.copy_(hull_biases(outputs.flatten(0, 1), generator).view_as(bias))

    @property
    def activation_after(self) -> ActivationName | None:
        """The activation function that is applied to its result, as a module of its own."""
        return self.activation

    @property
    def has_default_start(self) -> bool:
        """Whether its weights begin as PyTorch's layers do."""
        are_drawn = self.init == "default" and self.initial is None
        return are_drawn and self.bias_init == "default"

    @property
    def fixes_input_size(self) -> bool:
        """Whether it takes inputs of one size only: that of the weights given."""
        return self.initial is not None

    def _check_initial_shapes(self, weight_shape: Shape, bias_shape: Shape) -> None:
        if self.initial is None:
            return
        for name, numbers, expected in (
            ("weight", self.initial.weight, weight_shape),
            ("bias", self.initial.bias, bias_shape),
        ):
            if numbers is not None and shape_of(numbers) != expected:
                raise ShapeError(
                    f"has the shape {list(shape_of(numbers))}; the layer expects {list(expected)}",
                    ("initial", name),
                )


def initial_weights(
    placed: Iterable[tuple[tuple[str | int, ...], Layer]],
) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each key that says which weights a layer begins with, of placed layers."""
    for path, layer in placed:
        if (given := layer.weights_key) is not None:
            yield (*path, given.key)
        if isinstance(layer, WeightedLayer) and layer.initial is not None:
            yield (*path, "initial")
