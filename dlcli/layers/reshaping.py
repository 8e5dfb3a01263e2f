"""Layers that give their input another shape."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import Layer, PlannedLayer, Shape, ShapeError, Traits
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn

_TRAITS = Traits(
    keeps_positions=True,
    passes_input_on=True,
    has_filters=False,
    row_mixing=None,
    at_end="refuses",
    stacking_obstacle=None,
    recording_obstacle=None,
)


@final
class Flatten(Layer):
    """Any shape to `[features]`."""

    type: Literal["flatten"]

    traits: ClassVar[Traits] = _TRAITS

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take any shape; nothing is kept, as the numbers stay where they are."""
        return PlannedLayer(
            self, shape, (math.prod(shape),), num_parameters=0, multiply_adds=0, num_kept=0
        )

    def why_idle(self, planned: PlannedLayer) -> str | None:
        """Say so where nothing is left to flatten."""
        return "its input is flat already" if len(planned.input_shape) == 1 else None

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build nn.Flatten."""
        from torch import nn

        return nn.Flatten()


@final
class Reshape(Layer):
    """The same numbers in another shape."""

    type: Literal["reshape"]
    shape: Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=3)] = Field(
        description="new shape, without the batch"
    )

    traits: ClassVar[Traits] = _TRAITS

    @property
    def fixes_input_size(self) -> bool:
        """Whether it takes inputs of one size only: that of its shape."""
        return True

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take as many numbers as it gives; nothing is kept, as they stay where they are."""
        if math.prod(self.shape) != math.prod(shape):
            raise ShapeError(
                f"expects {math.prod(self.shape)} numbers for {list(self.shape)}, got "
                f"{list(shape)}, {math.prod(shape)} numbers"
            )
        return PlannedLayer(self, shape, self.shape, num_parameters=0, multiply_adds=0, num_kept=0)

    def why_idle(self, planned: PlannedLayer) -> str | None:
        """Say so where the shape stays."""
        return "its input has this shape already" if planned.input_shape == self.shape else None

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.Flatten, nn.Unflatten or one after the other."""
        from torch import nn

        if len(self.shape) == 1:
            return nn.Flatten()
        flat = [nn.Flatten()] if len(planned.input_shape) > 1 else []
        return nn.Sequential(*flat, nn.Unflatten(1, self.shape))
