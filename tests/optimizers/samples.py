"""Settings of every optimizer to test: defaults, presets, switches, weight decay, some more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from pydantic import TypeAdapter

from dlcli.layers.base import UpdateFactors
from dlcli.optimizers import OPTIMIZERS, PRESETS, AnyOptimizer
from dlcli.optimizers.base import OptimizerConfig
from dlcli.section import type_of
from tests.families import samples_of

_MORE: dict[str, list[dict[str, Any]]] = {
    "sgd": [{"momentum": 0.9, "dampening": 0.1}],
    "adam": [{"betas": (0.8, 0.99), "amsgrad": True, "weight_decay": 0.2}],
    "adamw": [{"weight_decay": 0.0}],
    "adagrad": [{"lr_decay": 0.1, "initial_accumulator_value": 0.1}],
    "adafactor": [{"eps": (1e-2, 0.1), "d": 2.0}],
    "muon": [{"adjust_lr_fn": "match_rms_adamw", "adamw": {"lr_factor": 0.5}}],
    "rmsprop": [{"momentum": 0.5}, {"momentum": 0.5, "centered": True}],
}
SAMPLES = PRESETS | samples_of(
    OPTIMIZERS,
    {
        type_of(member): [
            {"weight_decay": 0.1},
            *({**settings, "weight_decay": 0.1} for settings in member.presets.values()),
            *_MORE.get(type_of(member), []),
        ]
        for member in OPTIMIZERS
    },
)
_FUSED = {"sgd", "adam", "adamw"}  # whose fused kernels dlcli uses
# torch.optim's classes by the names that they have here.
TORCH_OPTIMIZERS: dict[str, Any] = {
    name.lower(): value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
}


def read(settings: dict[str, Any]) -> OptimizerConfig:
    config: OptimizerConfig = TypeAdapter(AnyOptimizer).validate_python(settings)
    return config


def reference_of(
    settings: dict[str, Any],
    network: torch.nn.Module,
    factors: Mapping[str, UpdateFactors] = MappingProxyType({}),
) -> torch.optim.Optimizer:
    """Return torch.optim's optimizer of these settings, for a network's parameters.

    Those that have factors are groups of their own.
    """
    options = {key: value for key, value in settings.items() if key != "type"}
    defaults: dict[str, Any] = {"lr": read(settings).lr}
    if settings["type"] in _FUSED:
        defaults["fused"] = True
    config = read(settings)
    groups = [
        {
            "params": [parameter],
            "lr": config.lr * factors.get(name, UpdateFactors()).lr,
            "weight_decay": config.highest_weight_decay
            * factors.get(name, UpdateFactors()).weight_decay,
        }
        for name, parameter in network.named_parameters()
    ]
    reference: torch.optim.Optimizer = TORCH_OPTIMIZERS[settings["type"]](
        groups if factors else network.parameters(), **{**defaults, **options}
    )
    return reference


def muon_beside_adamw(
    network: torch.nn.Module,
    lr: float = 1e-3,
    *,
    weight_decay: float = 0.1,
    others: Mapping[str, Any] = MappingProxyType({}),
    **matrices: Any,
) -> list[torch.optim.Optimizer]:
    """Return torch's Muon for a network's matrices, and its AdamW for the other parameters."""
    parameters = list(network.parameters())
    return [
        torch.optim.Muon(
            [one for one in parameters if one.dim() == 2],
            lr=lr,
            weight_decay=weight_decay,
            **matrices,
        ),
        torch.optim.AdamW(
            [one for one in parameters if one.dim() != 2],
            **{"lr": lr, "weight_decay": weight_decay, **others},
        ),
    ]
