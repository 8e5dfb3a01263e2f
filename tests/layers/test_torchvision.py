"""Networks and blocks of torchvision beside those of the shipped configs: the same functions.

torchvision is imported by the tests that need it, as that takes seconds.
"""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcli.config import load_config
from dlcli.data.signature import Signature
from dlcli.network.builder import build_network
from dlcli.network.plan import Plan, plan_network
from tests.conftest import ROOT
from tests.layers.samples import plan

CLASSES = 10


@pytest.fixture(scope="module")
def models() -> Any:
    """torchvision.models."""
    importlib.import_module("tests.torchvision_import")
    return importlib.import_module("torchvision.models")


def small_convnext(models: Any) -> nn.Module:
    """Return a ConvNeXt with patches of 2×2 pixels."""
    stages = [(40, 80, 2), (80, 160, 2), (160, None, 6)]
    settings = [models.convnext.CNBlockConfig(*stage) for stage in stages]
    network: nn.Module = models.convnext.ConvNeXt(settings, num_classes=CLASSES)
    network.get_submodule("features.0")[0] = nn.Conv2d(3, 40, 2, stride=2)  # type: ignore[operator]
    return network


def small_mobilenet(models: Any) -> nn.Module:
    """Return MobileNetV3-Small with the usual settings of batch norm."""
    network: nn.Module = models.mobilenet_v3_small(num_classes=CLASSES, norm_layer=nn.BatchNorm2d)
    return network


def planned(config: str, shape: tuple[int, int, int]) -> Plan:
    layers = load_config(ROOT / "configs" / config).config.model.layers
    size = shape[0] * shape[1] * shape[2]
    return plan_network(layers, Signature(size, (), shape, CLASSES), num_outputs=CLASSES)


def in_forward_order(network: nn.Module) -> list[str]:
    """Return the names of the state; the scale of a ConvNeXt's block follows its layers."""
    names = [*network.state_dict()]
    for scale in [name for name in names if name.endswith(".layer_scale")]:
        block = scale.removesuffix("layer_scale")
        names.remove(scale)
        names.insert(max(i for i, name in enumerate(names) if name.startswith(block)) + 1, scale)
    return names


def check_alike(plan: Plan, reference: nn.Module) -> None:
    """Compare numbers of parameters, outputs in both modes and gradients, for the same weights."""
    torch.manual_seed(0)
    for parameter in reference.parameters():
        if parameter.numel() == max(parameter.shape):  # norms and scales, which begin alike
            nn.init.uniform_(parameter, 0.5, 1.5)
    network = build_network(plan, seed=0)
    names = dict(zip(network.state_dict(), in_forward_order(reference), strict=True))
    theirs = reference.state_dict()
    ours = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: theirs[names[name]].reshape(ours[name]) for name in names})
    assert plan.num_parameters == sum(map(torch.numel, reference.parameters()))
    images = torch.rand(3, *plan.signature.input_shape, dtype=torch.float64)
    given = {"numbers": images.flatten(1)}
    network.double().eval()
    reference.double().eval()
    assert torch.allclose(network(given), reference(images))
    for module in [*network.modules(), *reference.modules()]:
        module.training = not {"Dropout", "RandomMask", "RowMask", "StochasticDepth"} & {
            type(module).__name__
        }
    outputs, expected = network(given), reference(images)
    assert torch.allclose(outputs, expected)
    factors = torch.rand_like(outputs)
    for result in (outputs, expected):
        (result * factors).sum().backward()
    for name, parameter in network.named_parameters():
        other = reference.get_parameter(names[name]).grad
        assert parameter.grad is not None
        assert isinstance(other, Tensor)
        assert torch.allclose(parameter.grad, other.reshape(parameter.shape), atol=1e-7), name


@pytest.mark.parametrize(
    ("config", "reference", "size"),
    [
        ("resnet18.yaml", lambda models: models.resnet18(num_classes=CLASSES), 17),
        ("mobilenet_v3.yaml", small_mobilenet, 17),
        ("convnext.yaml", small_convnext, 9),
    ],
)
def test_networks_of_shipped_configs_compute_what_torchvisions_do(
    config: str, reference: Callable[[Any], nn.Module], size: int, models: Any
) -> None:
    check_alike(planned(config, (3, size, size)), reference(models))


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        ({"block": "basic"}, lambda models: models.resnet.BasicBlock(8, 8)),
        ({"block": "bottleneck"}, lambda models: models.resnet.Bottleneck(8, 2)),
        ({"block": "inverted"}, lambda models: models.mobilenetv2.InvertedResidual(8, 8, 1, 6)),
        (
            {"block": "inverted", "channels": 6, "stride": 2},
            lambda models: models.mobilenetv2.InvertedResidual(8, 6, 2, 6),
        ),
    ],
)
def test_blocks_compute_what_torchvisions_do(
    spec: dict[str, Any], reference: Callable[[Any], nn.Module], models: Any
) -> None:
    layers = {"type": "residual_block", **spec}, {"type": "global_avg_pool"}, {"type": "dense"}
    channels = spec.get("channels", 8)
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    check_alike(plan((8, 6, 5), *layers, outputs=CLASSES), nn.Sequential(reference(models), *end))
