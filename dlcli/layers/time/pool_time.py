"""Pooling over the positions of a sequence."""

import math
from typing import TYPE_CHECKING, Literal, assert_never, final

from pydantic import Field

from dlcli.layers.base import Layer, PlannedLayer, Shape, TensorAxes, Traits, require_axes

if TYPE_CHECKING:
    from torch import nn


@final
class PoolTime(Layer):
    """One number for each channel of a sequence: `[channels, length]` to `[channels]`."""

    type: Literal["pool_time"]
    pool: Literal["mean", "max", "last", "attention"] = Field(
        "mean",
        description="mean or maximum of a row's positions, its last one, or their mean with "
        "weights from a softmax of learned scores (attention, aclanthology.org/N16-1174); an empty "
        "row gives 0",
    )

    @property
    def traits(self) -> Traits:
        """What holds for its kind."""
        return Traits(
            keeps_positions=False,
            passes_input_on=False,
            has_filters=self.has_attention,
            row_mixing=None,
            at_end="ends",
            stacking_obstacle=None,
            recording_obstacle=None,
        )

    @property
    def has_attention(self) -> bool:
        """Whether weights are computed for the positions."""
        return self.pool == "attention"

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`."""
        require_axes(shape, 2)
        num_channels, length = shape
        axes = self._axes(num_channels)
        weighting = num_channels**2 + 2 * num_channels  # of a position: the score, and the mean
        return PlannedLayer(
            self,
            shape,
            (num_channels,),
            num_parameters=sum(math.prod(each.shape) for each in axes.values()),
            multiply_adds=weighting * length if axes else 0,
            num_kept=num_channels + (num_channels + 1) * length * bool(axes),
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return those of the scores, if it computes any."""
        return self._axes(planned.input_shape[0])

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build the module of its kind; weights begin as those of nn.Linear."""
        from dlcli.layers.time import modules

        match self.pool:
            case "mean":
                return modules.MeanOverTime()
            case "max":
                return modules.MaxOverTime()
            case "last":
                return modules.LastOfTime()
            case "attention":
                return modules.AttentionOverTime(planned.input_shape[0])
            case _:
                assert_never(self.pool)

    def _axes(self, num_channels: int) -> dict[str, TensorAxes]:
        if not self.has_attention:
            return {}
        return {
            "hidden.weight": TensorAxes((num_channels, num_channels), inputs=1),
            "hidden.bias": TensorAxes((num_channels,)),
            "score.weight": TensorAxes((1, num_channels), inputs=1),
        }
