"""The optimizers, all of them torch.optim's own."""

from collections.abc import Iterable
from typing import assert_never

import torch
from torch import nn

from dlcli.config.optimizers import (
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RmsProp,
    Sgd,
)


def build_optimizer(config: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build an optimizer; the config's names for its options are torch's."""
    options = config.model_dump(exclude={"type"})
    match config:
        case Sgd():
            return torch.optim.SGD(parameters, **options)
        case Adam():
            return torch.optim.Adam(parameters, **options)
        case AdamW():
            return torch.optim.AdamW(parameters, **options)
        case Adadelta():
            return torch.optim.Adadelta(parameters, **options)
        case Adagrad():
            return torch.optim.Adagrad(parameters, **options)
        case RmsProp():
            return torch.optim.RMSprop(parameters, **options)
        case NAdam():
            return torch.optim.NAdam(parameters, **options)
        case RAdam():
            return torch.optim.RAdam(parameters, **options)
        case Adamax():
            return torch.optim.Adamax(parameters, **options)
        case _:
            assert_never(config)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = lr
