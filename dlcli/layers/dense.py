"""Dense layers."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.layers.base import (
    AXES,
    Members,
    PlannedLayer,
    Region,
    Setting,
    Shape,
    ShapeError,
    TensorAxes,
    Traits,
    require_axes,
)
from dlcli.layers.initialising.draws import draw, draw_bias
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

    over: Literal["features", "channels"] = Field(
        "features",
        description="what each unit is connected with: the features of a row, or, the same at each "
        "position, the channels of `[channels, length]` or an image",
    )
    parametrization: Literal["standard", "ntk"] = Field(
        "standard",
        description="ntk: the weight is divided by √features in the forward pass, and drawn as "
        "much larger; `initial.weight` is the weight before the division",
    )

    @property
    def traits(self) -> Traits:
        """What holds for its type; over channels, each position is computed by itself."""
        return Traits(
            keeps_positions=False,
            passes_input_on=False,
            has_filters=True,
            row_mixing=None,
            at_end="each" if self.over == "channels" else "refuses",
            stacking_obstacle=None,
            recording_obstacle=None,
        )

    @model_validator(mode="after")
    def _check_over(self) -> Self:
        if self.over == "channels" and self.parametrization != "standard":
            raise ValueError(f"`parametrization: {self.parametrization}` needs `over: features`")
        return self

    @property
    def width(self) -> Setting[int] | None:
        """The number of units, where the config says it."""
        return None if self.units is None else Setting("units", self.units)

    def with_outputs(self, num_outputs: int) -> Self:
        """Return it with so many units, unless it says how many."""
        return self if self.units is not None else self.model_copy(update={"units": num_outputs})

    def output_shape(self, shape: Shape) -> Shape:
        """Return `[units]`, or `[units, …]` over channels."""
        num_units = self._num_units()
        if self.over == "channels":
            if len(shape) == 1:
                raise ShapeError(
                    f"expects {AXES[2]} or {AXES[3]}, got {list(shape)}; leave out `over: channels`"
                )
            return (num_units, *shape[1:])
        hint = "; put {type: flatten} before it"
        hint += ", {type: pool_time} where rows differ in length" if len(shape) == 2 else ""
        hint += ", or write `over: channels`"
        require_axes(shape, 1, hint if len(shape) > 1 else "")
        return (num_units,)

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return the region itself over channels, where each position is computed by itself."""
        return region if self.over == "channels" else super().receptive_field(planned, region)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return `[units, features]`."""
        return (self._num_units(), shape[0])

    def weight_scale(self, shape: Shape) -> float:
        """Return 1 / √features in the parametrisation of the neural tangent kernel, otherwise 1.

        That of Jacot et al. 2018, arXiv:1806.07572; RealMLP's (Holzmüller et al. 2024,
        arXiv:2407.04491).
        """
        return 1.0 if self.parametrization == "standard" else shape[0] ** -0.5

    def build_linear(self, shape: Shape) -> "nn.Linear":
        """Build nn.Linear, or one that scales its weight."""
        from torch import nn

        from dlcli.layers.modules import ChannelLinear, ScaledLinear

        if self.over == "channels":
            return ChannelLinear(shape[0], self._num_units(), bias=self.bias)
        if self.parametrization == "standard":
            return nn.Linear(shape[0], self._num_units(), bias=self.bias)
        scale = self.weight_scale(shape)
        return ScaledLinear(shape[0], self._num_units(), bias=self.bias, scale=scale)

    def plan_members(self, planned: PlannedLayer, members: Members) -> PlannedLayer:
        """Give each member a matrix of its own, or factors for inputs and outputs; and a bias."""
        if members.separate == "nothing" or self.over == "channels":
            return super().plan_members(planned, members)
        if self.initial is not None:
            raise ShapeError(
                "the weights of an ensemble's members can't be given as numbers", ("initial",)
            )
        found = planned.computed_by(members)
        tensors = self.tensors(found)
        num_kept = found.num_kept
        if members.separate == "vectors":  # products with the matrix, and scaled inputs
            num_kept += math.prod(tensors["output_scale"].shape)
            num_kept += math.prod(tensors["input_scale"].shape) if "input_scale" in tensors else 0
        num_parameters = sum(math.prod(axes.shape) for axes in tensors.values())
        return replace(found, num_parameters=num_parameters, num_kept=num_kept)

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return its weight and, where it has one, its bias; those of an ensemble's members."""
        members, found = planned.members, super().tensors(planned)
        if members is None or members.separate == "nothing":
            return found
        number, units = members.number, planned.output_shape[0]
        of_members = {name: TensorAxes((number, units), outputs=1) for name in found}
        if members.separate == "all":
            shape = (number, *found["weight"].shape)
            weight = found["weight"]._replace(shape=shape, inputs=2, outputs=1)
            return {**of_members, "weight": weight}
        of_members["output_scale"] = TensorAxes((number, units), outputs=1)
        if not members.is_input_scaled:
            of_members["input_scale"] = TensorAxes((number, planned.input_shape[0]), inputs=1)
        return {**of_members, "weight": found["weight"]}

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.Linear, or what computes it for an ensemble's members."""
        members = planned.members
        if members is None or members.separate == "nothing":
            return super().build(planned)
        from dlcli.layers.modules import AdaptedLinear, MembersLinear

        sizes = (members.number, planned.input_shape[0], planned.output_shape[0])
        scale = self.weight_scale(planned.input_shape)
        module: MembersLinear | AdaptedLinear
        if members.separate == "all":
            module = MembersLinear(*sizes, bias=self.bias, scale=scale)
            weights = module.weight.detach().unbind()
        else:
            scales_input = not members.is_input_scaled
            module = AdaptedLinear(*sizes, bias=self.bias, scale=scale, scales_input=scales_input)
            weights = (module.weight.detach(),)
        if self.init != "default":
            for weight in weights:
                draw(weight, self.init)
        if module.bias is not None:
            draw_bias(module.bias.detach(), self.bias_init, self.init)
        if scale != 1:
            module.weight.detach().div_(scale)
        return module

    def _num_units(self) -> int:
        if self.units is None:
            raise ShapeError(
                "`units` is missing; only the last dense layer takes it from the target"
            )
        return self.units
