"""Pooling over the positions of a sequence."""

from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import Layer, PlannedLayer, Shape, Traits, require_axes

if TYPE_CHECKING:
    from torch import nn


@final
class PoolTime(Layer):
    """One number for each channel of a sequence: `[channels, length]` to `[channels]`."""

    type: Literal["pool_time"]
    pool: Literal["mean", "max", "last"] = Field(
        "mean",
        description="mean or maximum of a row's positions, or its last one; an empty row gives 0",
    )

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="ends",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`."""
        require_axes(shape, 2)
        return PlannedLayer(
            self, shape, shape[:1], num_parameters=0, multiply_adds=0, num_kept=shape[0]
        )

    def build(self, planned: PlannedLayer) -> "nn.Module":  # noqa: ARG002 - any shape
        """Build the module of its kind."""
        from dlcli.layers.time import modules

        return {
            "mean": modules.MeanOverTime,
            "max": modules.MaxOverTime,
            "last": modules.LastOfTime,
        }[self.pool]()
