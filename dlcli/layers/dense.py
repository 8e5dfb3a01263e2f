"""Dense layers."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

from pydantic import Field

from dlcli.layers.base import Setting, Shape, ShapeError, Traits, require_axes
from dlcli.layers.weights import WeightedLayer
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn


@final
class Dense(WeightedLayer):
    """Fully connected layer: x·Wᵀ + b."""

    type: Literal["dense"]
    units: Size | None = Field(
        None, description="number of outputs; the last dense layer takes it from the target"
    )

    parametrization: Literal["standard", "ntk"] = Field(
        "standard",
        description="ntk: the weight is divided by √features in the forward pass, and drawn as "
        "much larger; `initial.weight` is the weight before the division",
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=True,
        row_mixing=None,
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def width(self) -> Setting[int] | None:
        """The number of units, where the config says it."""
        return None if self.units is None else Setting("units", self.units)

    def with_outputs(self, num_outputs: int) -> Self:
        """Return it with so many units, unless it says how many."""
        return self if self.units is not None else self.model_copy(update={"units": num_outputs})

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[units]`."""
        num_units = self._num_units()
        require_axes(shape, 1, "; put {type: flatten} before it" if len(shape) > 1 else "")
        return (num_units,)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `[units, features]`."""
        return (self._num_units(), shape[0])

    def weight_scale(self, shape: Shape) -> float:
        """Return 1 / √features in the parametrisation of the neural tangent kernel, otherwise 1.

        That of Jacot et al. 2018, arXiv:1806.07572; RealMLP's (Holzmüller et al. 2024,
        arXiv:2407.04491).
        """
        return 1.0 if self.parametrization == "standard" else shape[0] ** -0.5

    def receptive_field(self, position: Shape) -> None:
        """Every unit sees all features."""

    def build_linear(self, shape: Shape) -> "nn.Linear":
        """Build nn.Linear, or one that scales its weight."""
        from torch import nn

        if self.parametrization == "standard":
            return nn.Linear(shape[0], self._num_units(), bias=self.bias)
        from dlcli.layers.modules import ScaledLinear

        scale = self.weight_scale(shape)
        return ScaledLinear(shape[0], self._num_units(), bias=self.bias, scale=scale)

    def _num_units(self) -> int:
        if self.units is None:
            raise ShapeError(
                "`units` is missing; only the last dense layer takes it from the target"
            )
        return self.units
