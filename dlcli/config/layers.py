"""The config's `model.layers`: one class for each type of layer.

Shapes are PyTorch's and leave out the batch: `[features]`, `[channels, length]` or
`[channels, height, width]`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from dlcli.section import PositiveFloat, Section, Size

Activation = Literal[
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "softplus", "softsign", "relu6", "hardsigmoid", "hardswish", "hardtanh", "log_sigmoid",
    "softmax",
]  # fmt: skip
Initialisation = Literal[
    "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
    "orthogonal", "truncated_normal", "zeros",
]  # fmt: skip
Padding = Literal["same", "valid"]

_LARGEST = 3.4e38  # float32 has nothing beyond

Numbers = tuple[Any, ...]  # floats, nested to any depth and rectangular


def shape_of(numbers: Numbers | float) -> tuple[int, ...]:
    """Return the shape of nested numbers; ValueError where they are not rectangular."""
    if isinstance(numbers, bool) or not isinstance(numbers, int | float | tuple | list):
        raise ValueError(f"must hold numbers only, not {numbers!r}")
    if isinstance(numbers, int | float):
        if not abs(numbers) <= _LARGEST:  # as NaN isn't
            raise ValueError(f"{numbers!s:.20} is too large for float32")
        return ()
    shapes = {shape_of(item) for item in numbers}
    if len(shapes) > 1:
        raise ValueError("its rows are not of one length")
    return (len(numbers), *(shapes.pop() if shapes else ()))


def _to_numbers(value: object) -> object:
    """Turn lists into tuples of floats, so that a config stays frozen."""
    if isinstance(value, list | tuple):
        return tuple(_to_numbers(item) for item in value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_numbers(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of numbers, not {value!r}")
    shape_of(tuple(value))
    return _to_numbers(value)


NestedNumbers = Annotated[Numbers, BeforeValidator(_check_numbers)]
Size2d = Size | Annotated[tuple[Size, Size], Field(strict=False)]
Pad = Annotated[int, Field(ge=0, le=1_000_000)]
Pad2d = Pad | Annotated[tuple[Pad, Pad], Field(strict=False)]


class InitialValues(Section):
    """Weights to start from, in PyTorch's shapes."""

    weight: NestedNumbers | None = Field(
        None, description="for dense: one row a unit, one number a feature"
    )
    bias: NestedNumbers | None = Field(None, description="one number a unit or channel")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weight is None and self.bias is None:
            raise ValueError("give `weight`, `bias` or both")
        return self


class _Weighted(Section):
    """What layers with a weight matrix share."""

    activation: Activation | None = Field(None, description="applied to the layer's result")
    bias: bool = Field(True, description="add a learned number to each unit or channel")
    init: Initialisation = Field(
        "default", description="how the weights are drawn; `default` is PyTorch's own"
    )
    initial: InitialValues | None = Field(None, description="weights to start from, as numbers")

    @model_validator(mode="after")
    def _check_initial(self) -> Self:
        if self.initial is not None:
            if self.initial.bias is not None and not self.bias:
                raise ValueError("`initial.bias` does nothing where `bias` is false")
            if self.initial.weight is not None and self.init != "default":
                raise ValueError("`init` does nothing where `initial.weight` is given")
        return self


class Dense(_Weighted):
    """Every input connected to every output: x·Wᵀ + b."""

    type: Literal["dense"]
    units: Size | None = Field(
        None, description="outputs; the last dense layer takes them from the target"
    )


class ActivationLayer(Section):
    """An activation function as a layer of its own."""

    type: Literal["activation"]
    activation: Activation = Field(description="the function")


class Dropout(Section):
    """Sets activations to zero at random while training, and scales the others up."""

    type: Literal["dropout"]
    rate: float = Field(0.5, ge=0, lt=1, description="the share that is set to zero")


class Flatten(Section):
    """Any shape to `[features]`."""

    type: Literal["flatten"]


class Reshape(Section):
    """The same numbers in another shape."""

    type: Literal["reshape"]
    shape: Annotated[tuple[Size, ...], Field(strict=False, min_length=1, max_length=3)] = Field(
        description="the new shape, without the batch"
    )


class Conv1d(_Weighted):
    """A convolution over `[channels, length]`."""

    type: Literal["conv1d"]
    out_channels: Size = Field(description="filters")
    kernel_size: Size = Field(description="the filter's length")
    stride: Size = Field(1, description="steps from one place of the filter to the next")
    padding: Pad | Padding = Field(0, description="zeros added at both ends")
    dilation: Size = Field(1, description="distance between the numbers that a filter looks at")
    groups: Size = Field(1, description="parts that the channels are divided into")


class Conv2d(_Weighted):
    """A convolution over `[channels, height, width]`."""

    type: Literal["conv2d"]
    out_channels: Size = Field(description="filters")
    kernel_size: Size2d = Field(description="the filter's size: one number, or [height, width]")
    stride: Size2d = Field(1, description="steps from one place of the filter to the next")
    padding: Pad2d | Padding = Field(0, description="zeros added on every side")
    dilation: Size2d = Field(1, description="distance between the numbers that a filter looks at")
    groups: Size = Field(1, description="parts that the channels are divided into")


class _Pool1d(Section):
    kernel_size: Size = Field(description="the window's length")
    stride: Size | None = Field(None, description="default: the window's length")
    padding: Pad = Field(0, description="added at both ends; at most half the window")


class _Pool2d(Section):
    kernel_size: Size2d = Field(description="the window: one number, or [height, width]")
    stride: Size2d | None = Field(None, description="default: the window's size")
    padding: Pad2d = Field(0, description="added on every side; at most half the window")


class MaxPool1d(_Pool1d):
    """The largest number of each window."""

    type: Literal["max_pool1d"]


class AvgPool1d(_Pool1d):
    """The mean of each window."""

    type: Literal["avg_pool1d"]


class MaxPool2d(_Pool2d):
    """The largest number of each window."""

    type: Literal["max_pool2d"]


class AvgPool2d(_Pool2d):
    """The mean of each window."""

    type: Literal["avg_pool2d"]


class GlobalAvgPool(Section):
    """The mean of each channel: `[channels, …]` to `[channels]`."""

    type: Literal["global_avg_pool"]


class BatchNorm(Section):
    """Each feature or channel to mean 0 and variance 1 over the batch, then scaled and shifted."""

    type: Literal["batch_norm"]
    momentum: float = Field(0.1, gt=0, le=1, description="the newest batch's share in the mean")
    eps: PositiveFloat = Field(1e-5, description="added to the variance")


class LayerNorm(Section):
    """Each row to mean 0 and variance 1 over all its numbers, then scaled and shifted."""

    type: Literal["layer_norm"]
    eps: PositiveFloat = Field(1e-5, description="added to the variance")


class Residual(Section):
    """x + layers(x); where the shapes differ, x goes through a linear projection."""

    type: Literal["residual"]
    layers: Annotated[tuple["Layer", ...], Field(strict=False, min_length=1)] = Field(
        description="the layers to go around"
    )
    activation: Activation | None = Field(None, description="applied to the sum")


SingleLayer = (
    Dense
    | ActivationLayer
    | Dropout
    | Flatten
    | Reshape
    | Conv1d
    | Conv2d
    | MaxPool1d
    | MaxPool2d
    | AvgPool1d
    | AvgPool2d
    | GlobalAvgPool
    | BatchNorm
    | LayerNorm
)
Layer = Annotated[SingleLayer | Residual, Field(discriminator="type")]


class ModelConfig(Section):
    """The network."""

    layers: Annotated[tuple[Layer, ...], Field(strict=False, min_length=1)] = Field(
        description="from the data to the target"
    )
