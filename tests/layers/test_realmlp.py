"""Parts of RealMLP, held to pytabkit 1.7.0.

The numbers are those of its `WeightFitter(3, weight_param="ntk")`, `BiasLayer` and
`ActivationFactory(act=…, use_parametric_act=True)`, given ROWS and the weights below.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from dlcli.network.builder import build_network
from tests.layers.samples import DENSE, plan

ROWS = torch.tensor([[1.0, -2.0, 0.5, 3.0], [-0.5, 0.25, 4.0, -1.0]])
NTK = {
    "type": "dense",
    "units": 3,
    "parametrization": "ntk",
    "initial": {
        "weight": [[1.0, 0.3, 2.0, -1.2], [-2.0, 0.1, 0.4, 0.8], [0.5, -0.7, 1.5, 0.6]],
        "bias": [0.1, -0.2, 0.3],
    },
}
OUTPUTS = torch.tensor([[-1.0, 0.0, 2.525], [4.4875, 0.7125, 2.7875]])
ACTIVATED = {
    "selu": [[-1.1113308, 0.0, 2.4929950], [4.7150207, 0.7305623, 2.7521677]],
    "mish": [[-0.3034015, 0.0, 2.5318990], [4.4863896, 0.6428930, 2.7921734]],
}


def output_of(network: torch.nn.Module, module: str, rows: Tensor) -> Tensor:
    seen: list[Tensor] = []
    network.get_submodule(module).register_forward_hook(lambda *args: seen.append(args[-1]))
    network({"numbers": rows})
    return seen[0].detach()


def test_the_ntk_parametrization_computes_what_pytabkits_does() -> None:
    network = build_network(plan((4,), NTK, DENSE), seed=0)
    assert torch.allclose(output_of(network, "0_dense", ROWS), OUTPUTS, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATED)
def test_a_parametric_activation_computes_what_pytabkits_does(activation: str) -> None:
    spec = {"type": "parametric_activation", "activation": activation}
    network = build_network(plan((3,), spec, DENSE), seed=0)
    weight = network.get_parameter("0_parametric_activation.weight")
    assert weight.tolist() == [1.0, 1.0, 1.0]
    with torch.no_grad():
        weight.copy_(torch.tensor([1.0, 0.5, -0.25]))
    found = output_of(network, "0_parametric_activation", OUTPUTS)
    assert torch.allclose(found, torch.tensor(ACTIVATED[activation]), atol=1e-6)


@pytest.mark.parametrize("init", ["default", "normal", "orthogonal"])
def test_a_network_begins_with_the_same_function_in_both_parametrizations(init: str) -> None:
    def outputs(**more: Any) -> Tensor:
        spec = {"type": "dense", "units": 5, "init": init, **more}
        result: Tensor = build_network(plan((4,), spec, DENSE), seed=3)({"numbers": ROWS})
        return result

    assert torch.allclose(outputs(parametrization="ntk"), outputs(), atol=1e-6)


def test_weights_that_are_drawn_normal_have_a_deviation_of_1_in_the_ntk_parametrization() -> None:
    spec = {"type": "dense", "units": 300, "init": "normal", "parametrization": "ntk"}
    state = build_network(plan((400,), spec, DENSE), seed=0).state_dict()
    assert state["0_dense.weight"].std().item() == pytest.approx(1, rel=0.03)
