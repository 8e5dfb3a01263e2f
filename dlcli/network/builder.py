"""A plan → one `nn.Module`, its weights drawn from the seed."""

from collections import OrderedDict
from typing import Any, assert_never

import torch
from torch import nn

from dlcli.config.layers import (
    Activation,
    ActivationLayer,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    Reshape,
    Residual,
)
from dlcli.network import modules
from dlcli.network.initialisation import initialise
from dlcli.network.inputs import InputStage
from dlcli.network.plan import Plan, PlannedLayer
from dlcli.network.shapes import Shape, projection_stride
from dlcli.seeds import derive_seed


def build_network(plan: Plan, *, seed: int) -> nn.Sequential:
    """Build the network on the CPU, in float32.

    It takes the input fields by name, each `[batch, *shape]`, and gives `[batch, num_outputs]`. Its
    weights are a function of the plan and the seed; torch's own random state is left as it was. A
    layer's module is named by its place in the config and its type: `0_dense`, `0_dense_relu`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        named: OrderedDict[str, nn.Module] = OrderedDict()
        signature = plan.signature
        named["columns"] = InputStage(signature)
        if signature.shape is not None:
            named["shape"] = nn.Unflatten(1, signature.shape)
        named.update(_build_layers(plan.layers))
        # Images with their channels last: convolutions and pools over them are faster so.
        network = nn.Sequential(named)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network


def _build_layers(layers: tuple[PlannedLayer, ...]) -> OrderedDict[str, nn.Module]:
    named: OrderedDict[str, nn.Module] = OrderedDict()
    for index, layer in enumerate(layers):
        name = f"{index}_{layer.config.type}"
        named[name] = _build_layer(layer)
        activation = getattr(layer.config, "activation", None)
        if activation is not None and not isinstance(layer.config, ActivationLayer):
            named[f"{name}_{activation}"] = build_activation(activation)
    return named


def _build_layer(layer: PlannedLayer) -> nn.Module:
    config, shape = layer.config, layer.input_shape
    match config:
        case Dense():
            assert config.units is not None, "planned"
            return initialise(nn.Linear(shape[0], config.units, bias=config.bias), config)
        case Conv1d():
            return initialise(nn.Conv1d(shape[0], **_convolution_options(config)), config)
        case Conv2d():
            return initialise(nn.Conv2d(shape[0], **_convolution_options(config)), config)
        case ActivationLayer():
            return build_activation(config.activation)
        case Dropout():
            return modules.Dropout(config.rate)
        case Flatten():
            return nn.Flatten()
        case Reshape():
            return _reshape(shape, config.shape)
        case MaxPool1d():
            return nn.MaxPool1d(config.kernel_size, config.stride, config.padding)
        case AvgPool1d():
            return nn.AvgPool1d(
                config.kernel_size, config.stride or config.kernel_size, config.padding
            )
        case MaxPool2d():
            return nn.MaxPool2d(config.kernel_size, config.stride, config.padding)
        case AvgPool2d():
            return nn.AvgPool2d(config.kernel_size, config.stride, config.padding)
        case GlobalAvgPool():
            return modules.GlobalAvgPool()
        case BatchNorm():
            norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            return norm(shape[0], eps=config.eps, momentum=config.momentum)
        case LayerNorm():
            return nn.LayerNorm(shape, eps=config.eps)
        case Residual():
            body = nn.Sequential(_build_layers(layer.inner))
            return modules.Residual(body, _projection(shape, layer.output_shape))
        case _:
            assert_never(config)


def _convolution_options(config: Conv1d | Conv2d) -> dict[str, Any]:
    """Return torch's options, which the config names as torch does."""
    return config.model_dump(exclude={"type", "activation", "init", "initial"})


def _reshape(before: Shape, after: Shape) -> nn.Module:
    if len(after) == 1:
        return nn.Flatten()
    flat = [nn.Flatten()] if len(before) > 1 else []
    return nn.Sequential(*flat, nn.Unflatten(1, after))


def _projection(before: Shape, after: Shape) -> nn.Module:
    if before == after:
        return nn.Identity()
    if len(before) == 1:
        return nn.Linear(before[0], after[0])
    stride = projection_stride(before, after)
    assert stride is not None, "planned"
    if len(before) == 2:
        return nn.Conv1d(before[0], after[0], 1, stride=stride[0])
    return nn.Conv2d(before[0], after[0], 1, stride=(stride[0], stride[1]))


def build_activation(name: Activation) -> nn.Module:
    """Build an activation function; softmax is over features, or over channels."""
    match name:
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU()
        case "elu":
            return nn.ELU()
        case "selu":
            return nn.SELU()
        case "celu":
            return nn.CELU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
        case "mish":
            return nn.Mish()
        case "softplus":
            return nn.Softplus()
        case "softsign":
            return nn.Softsign()
        case "relu6":
            return nn.ReLU6()
        case "hardsigmoid":
            return nn.Hardsigmoid()
        case "hardswish":
            return nn.Hardswish()
        case "hardtanh":
            return nn.Hardtanh()
        case "log_sigmoid":
            return nn.LogSigmoid()
        case "softmax":
            return nn.Softmax(dim=1)
        case _:
            assert_never(name)
