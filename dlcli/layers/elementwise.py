"""Layers that take each number by itself: activation functions, dropout, learned scales."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.activations import ACTIVATIONS, ActivationName
from dlcli.layers.base import Layer, PlannedLayer, Setting, Shape, TensorAxes, Traits, UpdateFactors
from dlcli.schedules.scheduled_number import FractionOrSchedule, highest
from dlcli.section import NonNegativeFloat, PositiveFloat

if TYPE_CHECKING:
    from torch import nn


@final
class ActivationLayer(Layer):
    """Activation function as a layer of its own."""

    type: Literal["activation"]
    activation: ActivationName = Field(description="activation function")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="each",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def applied_activation(self) -> ActivationName:
        """The activation function that its output comes from."""
        return self.activation

    def repeats(self, before: Layer) -> bool:
        """Say whether the same function was applied just before."""
        return before.applied_activation == self.activation

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self, shape, shape, num_parameters=0, multiply_adds=0, num_kept=math.prod(shape)
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build the function's module."""
        return ACTIVATIONS[self.activation].build()


class _LearnedByUnit(Layer):
    """A layer with a learned number, the weight, for each feature or channel."""

    lr_factor: PositiveFloat = Field(1.0, description="factor of the weight's learning rate")
    weight_decay_factor: NonNegativeFloat = Field(
        1.0, description="factor of the weight's decay; 0: none"
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="each",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def update_factors(self) -> dict[str, UpdateFactors]:
        """The factors of the weight."""
        factors = UpdateFactors(self.lr_factor, self.weight_decay_factor)
        return {} if factors == UpdateFactors() else {"weight": factors}

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self, shape, shape, num_parameters=shape[0], multiply_adds=0, num_kept=math.prod(shape)
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return a number for each feature or channel."""
        return {"weight": TensorAxes(planned.input_shape[:1], inputs=0, outputs=0)}


@final
class ParametricActivation(_LearnedByUnit):
    """x + a·(f(x) − x), a learned by feature or channel, 1 at first (RealMLP, arXiv:2407.04491)."""

    type: Literal["parametric_activation"]
    activation: ActivationName = Field(description="the activation function f")

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build it around the function's module."""
        from dlcli.layers.modules import LearnedActivation

        return LearnedActivation(ACTIVATIONS[self.activation].build(), planned.input_shape)


@final
class PReLU(_LearnedByUnit):
    """ReLU with a slope below 0, learned by feature or channel (He et al., arXiv:1502.01852)."""

    type: Literal["prelu"]
    init: float = Field(0.25, ge=-10, le=10, description="the slopes at first")

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.PReLU."""
        from torch import nn

        return nn.PReLU(planned.input_shape[0], init=self.init)


@final
class Dropout(Layer):
    """Sets activations to zero at random while training, and scales the others up."""

    type: Literal["dropout"]
    rate: FractionOrSchedule = Field(
        0.5,
        description="share of the activations set to zero, or how it changes over the steps",
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=True,
        passes_input_on=True,
        has_filters=False,
        row_mixing=None,
        at_end="each",
        stacking_obstacle=None,  # a stack gives each run its mask
        recording_obstacle=None,
    )

    @property
    def dropped_share(self) -> Setting[float]:
        """The share of numbers that are set to zero in training."""
        return Setting("rate", highest(self.rate))

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before is dropout too."""
        return before.type == self.type

    def why_idle(self, planned: PlannedLayer) -> str | None:  # noqa: ARG002 - any shape
        """Say so where nothing is dropped."""
        return None if highest(self.rate) else "its rate is 0"

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape, and give it back."""
        return PlannedLayer(
            self, shape, shape, num_parameters=0, multiply_adds=0, num_kept=math.prod(shape)
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build a mask that is drawn anew for each batch."""
        from dlcli.layers.modules import RandomMask

        return RandomMask(self.rate)


@final
class Scale(_LearnedByUnit):
    """Multiplies each feature or channel by a learned factor (arXiv:2407.04491, 2103.17239)."""

    # At the end of a residual block's layers, with factors of 1e-6 at first, it is layer scale:
    # Touvron et al. 2021, "Going deeper with Image Transformers", section 2.
    # Before the first dense layer, with a learning rate of its own, it weighs the features softly:
    # Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", section 3.

    type: Literal["scale"]
    init: float = Field(1.0, ge=-10, le=10, description="the factors at first")

    def repeats(self, before: Layer) -> bool:
        """Say whether the layer before is such a layer too."""
        return before.type == self.type

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build a module that multiplies by its weight."""
        from dlcli.layers.modules import FeatureScale

        return FeatureScale(planned.input_shape[0], self.init)
