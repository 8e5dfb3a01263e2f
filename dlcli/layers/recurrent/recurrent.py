"""Recurrent layers."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

from pydantic import Field, model_validator

from dlcli.layers.base import (
    Layer,
    PlannedLayer,
    Region,
    Setting,
    Shape,
    TensorAxes,
    Traits,
    require_axes,
)
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn


class _Recurrent(Layer):
    """States that go from position to position of a sequence."""

    units: Size = Field(description="size of the state, in each direction")
    num_layers: Size = Field(1, description="recurrent layers on top of each other")
    bidirectional: bool = Field(
        False, description="go through rows backwards, too; gives twice as many units"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout rate between the `num_layers` layers"
    )
    bias: bool = Field(True, description="whether biases are added to the gates")
    returns: Literal["last", "sequence"] = Field(
        "last",
        description="last: the state at a row's end, [units], of the backward direction that at "
        "its beginning; sequence: the states at all positions, [units, length]",
    )

    num_gates: ClassVar[int]
    num_kept_units: ClassVar[int]  # numbers of a position, by unit, that the backward pass needs

    @model_validator(mode="after")
    def _check_dropout(self) -> Self:
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                "`dropout` is between the layers of `num_layers`, of which there is one; put "
                f"{{type: dropout, rate: {self.dropout:g}}} behind it"
            )
        return self

    @property
    def traits(self) -> Traits:
        """Say what depends on what it returns."""
        return Traits(
            keeps_positions=False,
            passes_input_on=False,
            has_filters=True,
            row_mixing=None,
            at_end="masks" if self.returns == "sequence" else "ends",
            stacking_obstacle="its steps have a gradient of their own that vmap doesn't know",
            recording_obstacle=None,
        )

    @property
    def width(self) -> Setting[int] | None:
        """The number of units, where it is that of its output."""
        return None if self.bidirectional else Setting("units", self.units)

    @property
    def dropped_share(self) -> Setting[float] | None:
        """The share that is dropped between its layers, where it has several."""
        return Setting("dropout", self.dropout) if self.num_layers > 1 else None

    def plan(self, shape: Shape) -> PlannedLayer:
        """Take `[channels, length]`."""
        require_axes(shape, 2)
        channels, length = shape
        num_directions, parameters, multiply_adds = 1 + self.bidirectional, 0, 0
        num_kept = channels * length
        for layer in range(self.num_layers):
            inputs = num_directions * self.units if layer else channels
            weights = self.num_gates * self.units * (inputs + self.units)
            biases = 2 * self.num_gates * self.units * self.bias
            parameters += num_directions * (weights + biases)
            multiply_adds += num_directions * weights * length
            num_kept += num_directions * self.num_kept_units * self.units * length
        units = num_directions * self.units
        after = (units, length) if self.returns == "sequence" else (units,)
        return PlannedLayer(
            self,
            shape,
            after,
            num_parameters=parameters,
            multiply_adds=multiply_adds,
            num_kept=num_kept,
        )

    def receptive_field(self, planned: PlannedLayer, region: Region) -> Region | None:
        """Return all that is before a region and in it; all positions where it has two ways."""
        if self.returns == "last":
            return None
        length = planned.input_shape[1]
        if self.bidirectional:
            return ((0, length),)
        [(start, num_positions)] = region
        return ((0, start + num_positions),)

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return the weights and biases of each layer and direction, named as PyTorch's."""
        rows = self.num_gates * self.units
        found = {}
        for layer in range(self.num_layers):
            for direction in ("", "_reverse") if self.bidirectional else ("",):
                place = f"l{layer}{direction}"
                inputs = (1 + self.bidirectional) * self.units if layer else planned.input_shape[0]
                matrix = TensorAxes((rows, inputs), inputs=None if layer else 1)
                found[f"weight_ih_{place}"] = matrix
                found[f"weight_hh_{place}"] = TensorAxes((rows, self.units))
                if self.bias:
                    found[f"bias_ih_{place}"] = found[f"bias_hh_{place}"] = TensorAxes((rows,))
        return found

    def options(self, planned: PlannedLayer) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what its module is built with."""
        sizes = (planned.input_shape[0], self.units, self.num_layers)
        return sizes, {
            "bias": self.bias,
            "bidirectional": self.bidirectional,
            "returns": self.returns,
            "dropped": self.dropout,
        }


@final
class Rnn(_Recurrent):
    """Recurrent layer as PyTorch's nn.RNN: h = tanh(W·x + V·h + b) from position to position."""

    type: Literal["rnn"]
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="function of the new state")

    num_gates: ClassVar[int] = 1
    num_kept_units: ClassVar[int] = 2

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.RNN with sequences as they are here."""
        from dlcli.layers.recurrent import modules

        sizes, options = self.options(planned)
        return modules.RnnModule(*sizes, nonlinearity=self.nonlinearity, **options)


@final
class Lstm(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), as PyTorch's nn.LSTM."""

    type: Literal["lstm"]

    num_gates: ClassVar[int] = 4
    num_kept_units: ClassVar[int] = 7

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.LSTM with sequences as they are here."""
        from dlcli.layers.recurrent import modules

        sizes, options = self.options(planned)
        return modules.LstmModule(*sizes, **options)


@final
class Gru(_Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078), as PyTorch's nn.GRU."""

    type: Literal["gru"]

    num_gates: ClassVar[int] = 3
    num_kept_units: ClassVar[int] = 6

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.GRU with sequences as they are here."""
        from dlcli.layers.recurrent import modules

        sizes, options = self.options(planned)
        return modules.GruModule(*sizes, **options)
