"""Weights and biases that are drawn at random."""

import math
from typing import TYPE_CHECKING, Literal, assert_never

if TYPE_CHECKING:
    from torch import Generator, Tensor

Initialisation = Literal[
    "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
    "orthogonal", "truncated_normal", "normal", "unit_variance", "zeros",
]  # fmt: skip
BiasInitialisation = Literal["default", "zeros", "normal", "data_hull"]
_HULL_ROWS = 5  # whose outputs a bias is drawn between
_CONSTANT = 1e-12  # a deviation of outputs that is nothing but rounding


def draw(weight: "Tensor", name: Initialisation) -> None:
    """Draw a weight of which a unit's numbers are along all axes but the first."""
    from torch import nn

    match name:
        case "default":
            pass
        case "kaiming_uniform":
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        case "kaiming_normal":
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        case "xavier_uniform":
            nn.init.xavier_uniform_(weight)
        case "xavier_normal":
            nn.init.xavier_normal_(weight)
        case "orthogonal":
            nn.init.orthogonal_(weight)
        case "truncated_normal":
            nn.init.trunc_normal_(weight, std=0.02)
        case "normal" | "unit_variance":
            nn.init.normal_(weight, std=math.prod(weight.shape[1:]) ** -0.5)
        case "zeros":
            nn.init.zeros_(weight)
        case _:
            assert_never(name)


def draw_bias(bias: "Tensor", name: BiasInitialisation, init: Initialisation) -> None:
    """Set a bias, as PyTorch has drawn it, for a weight that is drawn so."""
    from torch import nn

    match name:
        case "default":
            if init != "default":
                bias.zero_()
        case "zeros" | "data_hull":
            bias.zero_()
        case "normal":
            nn.init.normal_(bias)
        case _:
            assert_never(name)


def hull_biases(outputs: "Tensor", generator: "Generator") -> "Tensor":
    """Return minus a random mean of a few of each unit's outputs, [units], of [units, outputs]."""
    import torch

    shape = (len(outputs), _HULL_ROWS)
    chosen = torch.randint(0, outputs.shape[1], shape, generator=generator)
    shares = torch.empty(shape).exponential_(generator=generator)
    shares = (shares / shares.sum(1, keepdim=True)).to(outputs)
    return -(outputs.gather(1, chosen.to(outputs.device)) * shares).sum(1)


def unit_deviations(outputs: "Tensor") -> "Tensor":
    """Return the standard deviation of each unit's outputs [..., units, outputs].

    1 where all are the same.
    """
    deviations = outputs.std(-1, correction=0)
    return deviations.where(deviations > _CONSTANT, 1.0)
