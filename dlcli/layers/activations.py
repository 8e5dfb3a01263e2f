"""The activation functions: one table that says all about each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ActivationFunction:
    """An activation function."""

    module: str  # its class in torch.nn
    options: Mapping[str, int] = field(default_factory=dict)
    saturates_beyond: tuple[float, float] | None = None  # outputs where the gradient vanishes
    gives_probabilities: bool = False  # or their logarithms: what a cross-entropy loss applies

    def build(self) -> "nn.Module":
        """Build its module."""
        from torch import nn

        module: nn.Module = getattr(nn, self.module)(**self.options)
        return module


ACTIVATIONS = {
    "sigmoid": ActivationFunction(
        "Sigmoid", saturates_beyond=(0.03, 0.97), gives_probabilities=True
    ),
    "tanh": ActivationFunction("Tanh", saturates_beyond=(-0.97, 0.97)),
    "relu": ActivationFunction("ReLU"),
    "leaky_relu": ActivationFunction("LeakyReLU"),
    "elu": ActivationFunction("ELU"),
    "selu": ActivationFunction("SELU"),
    "celu": ActivationFunction("CELU"),
    "gelu": ActivationFunction("GELU"),
    "silu": ActivationFunction("SiLU"),
    "mish": ActivationFunction("Mish"),
    "softplus": ActivationFunction("Softplus"),
    "softsign": ActivationFunction("Softsign"),
    "relu6": ActivationFunction("ReLU6"),
    "hardsigmoid": ActivationFunction("Hardsigmoid"),
    "hardswish": ActivationFunction("Hardswish"),
    "hardtanh": ActivationFunction("Hardtanh"),
    "log_sigmoid": ActivationFunction("LogSigmoid", gives_probabilities=True),
    # Over features, or over channels.
    "softmax": ActivationFunction("Softmax", options={"dim": 1}, gives_probabilities=True),
}

if TYPE_CHECKING:
    ActivationName = str
else:
    ActivationName = Literal[tuple(ACTIVATIONS)]
