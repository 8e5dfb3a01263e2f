"""How a layer's weights begin."""

from typing import TypeVar, assert_never

import torch
from torch import nn

from dlcli.config.layers import Conv1d, Conv2d, Dense, Initialisation

_Weighted = TypeVar("_Weighted", nn.Linear, nn.Conv1d, nn.Conv2d)


def initialise(module: _Weighted, config: Dense | Conv1d | Conv2d) -> _Weighted:
    """Set a module's weights as its config says, and return it.

    Draws by name set the bias to zero, as is usual with them; PyTorch's default draws it.
    """
    with torch.no_grad():
        if config.init != "default":
            _draw(module.weight, config.init)
            if module.bias is not None:
                module.bias.zero_()
        if config.initial is not None and config.initial.weight is not None:
            module.weight.copy_(torch.tensor(config.initial.weight))
        if config.initial is not None and config.initial.bias is not None:
            assert module.bias is not None, "the config forbids it"
            module.bias.copy_(torch.tensor(config.initial.bias))
    return module


def _draw(weight: torch.Tensor, name: Initialisation) -> None:
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
        case "zeros":
            nn.init.zeros_(weight)
        case _:
            assert_never(name)
