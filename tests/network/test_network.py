"""Plans against the modules that are built from them."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from dlcli.columns.base import Embedding
from dlcli.config.layers import Layer
from dlcli.data.signature import Signature
from dlcli.network.builder import build_network
from dlcli.network.plan import Plan, plan_network
from dlcli.network.shapes import ShapeError

DENSE = {"type": "dense"}


def layers(*specs: dict[str, Any]) -> tuple[Layer, ...]:
    return tuple(TypeAdapter(Layer).validate_python(spec) for spec in specs)


def plan(shape: tuple[int, ...], *specs: dict[str, Any], outputs: int = 2) -> Plan:
    size = int(torch.tensor(shape).prod())
    signature = Signature(size, (), shape if len(shape) > 1 else None, outputs)
    return plan_network(layers(*specs), signature, num_outputs=outputs)


FLAT, LONG, IMAGE = (12,), (3, 16), (2, 5, 6)

EVERY_LAYER: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    (FLAT, {"type": "dense", "units": 5, "activation": "relu"}),
    (FLAT, {"type": "dense", "units": 5, "bias": False}),
    (FLAT, {"type": "activation", "activation": "softmax"}),
    (FLAT, {"type": "dropout", "rate": 0.3}),
    (FLAT, {"type": "batch_norm"}),
    (FLAT, {"type": "layer_norm"}),
    (FLAT, {"type": "reshape", "shape": [3, 4]}),
    (FLAT, {"type": "residual", "layers": [{"type": "dense", "units": 12}]}),
    (FLAT, {"type": "residual", "layers": [{"type": "dense", "units": 7}], "activation": "relu"}),
    (LONG, {"type": "conv1d", "out_channels": 4, "kernel_size": 3}),
    (
        LONG,
        {
            "type": "conv1d",
            "out_channels": 6,
            "kernel_size": 3,
            "stride": 2,
            "padding": 2,
            "dilation": 3,
            "groups": 3,
        },
    ),
    (LONG, {"type": "conv1d", "out_channels": 4, "kernel_size": 5, "padding": "same"}),
    (LONG, {"type": "max_pool1d", "kernel_size": 3}),
    (LONG, {"type": "avg_pool1d", "kernel_size": 3, "stride": 2, "padding": 1}),
    (LONG, {"type": "global_avg_pool"}),
    (LONG, {"type": "batch_norm"}),
    (LONG, {"type": "layer_norm"}),
    (LONG, {"type": "flatten"}),
    (LONG, {"type": "reshape", "shape": [4, 12]}),
    (LONG, {"type": "reshape", "shape": [48]}),
    (
        LONG,
        {"type": "residual", "layers": [{"type": "conv1d", "out_channels": 5, "kernel_size": 2,
                                         "stride": 2}]},
    ),
    (IMAGE, {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "valid"}),
    (
        IMAGE,
        {"type": "conv2d", "out_channels": 4, "kernel_size": [3, 2], "stride": [2, 1],
         "padding": [0, 1], "groups": 2},
    ),
    (IMAGE, {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"}),
    (IMAGE, {"type": "max_pool2d", "kernel_size": 2}),
    (IMAGE, {"type": "avg_pool2d", "kernel_size": [3, 2], "stride": 2, "padding": [1, 0]}),
    (IMAGE, {"type": "global_avg_pool"}),
    (IMAGE, {"type": "batch_norm"}),
    (IMAGE, {"type": "layer_norm"}),
    (IMAGE, {"type": "activation", "activation": "softmax"}),
    (
        IMAGE,
        {"type": "residual", "layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3,
                                         "stride": [2, 3], "padding": 1}]},
    ),
]  # fmt: skip


def name(case: object) -> str:
    return str(case["type"]) if isinstance(case, dict) else str(case)


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_planned_shapes_and_parameters_are_those_of_the_module(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    network = build_network(planned, seed=0)
    rows = torch.randn(4, int(torch.tensor(shape).prod()))
    x = rows.view(4, *shape)
    first = network.get_submodule(f"0_{spec['type']}")
    assert tuple(first(x).shape[1:]) == planned.layers[0].output_shape
    assert sum(p.numel() for p in network.parameters()) == planned.num_parameters
    assert network({"numbers": rows}).shape == (4, 2)


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_gradients_agree_with_finite_differences(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    network = build_network(plan(shape, spec, {"type": "flatten"}, DENSE), seed=1).double()
    names = [parameter for parameter, _ in network.named_parameters()]
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, int(torch.tensor(shape).prod()), generator=generator, dtype=torch.float64)

    def output(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)  # the same units dropped each time
        parameters = dict(zip(names, values, strict=True))
        result: torch.Tensor = torch.func.functional_call(network, parameters, ({"numbers": x},))
        return result

    values = [parameter.detach().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *values))


@pytest.mark.parametrize("activation", [
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish",
    "softplus", "softsign", "relu6", "hardsigmoid", "hardswish", "hardtanh", "log_sigmoid",
    "softmax",
])  # fmt: skip
def test_every_activation_has_the_right_gradient(activation: str) -> None:
    network = build_network(
        plan((4,), {"type": "dense", "units": 6, "activation": activation}, DENSE), seed=0
    ).double()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: network({"numbers": x}), (x.requires_grad_(),))


def inputs(numbers: list[float], codes: list[int]) -> dict[str, torch.Tensor]:
    """Return one row."""
    return {
        "numbers": torch.tensor([numbers]),
        "codes": torch.tensor([codes], dtype=torch.int32),
    }


def plan_embedded(num_dense: int, *specs: dict[str, Any]) -> Plan:
    """Plan for numbers, if any, and two embedded columns."""
    embeddings = (Embedding("city", 6, 3), Embedding("shop", 4, 2))
    signature = Signature(num_dense, embeddings, None, 2)
    return plan_network(layers(*specs), signature, num_outputs=2)


class TestEmbeddings:
    def network(self) -> tuple[Plan, nn.Sequential]:
        planned = plan_embedded(2, DENSE)
        return planned, build_network(planned, seed=0)

    def test_codes_become_their_vectors_behind_the_numbers(self) -> None:
        planned, network = self.network()
        assert planned.layers[0].input_shape == (7,)
        assert sum(p.numel() for p in network.parameters()) == planned.num_parameters
        columns = network.get_submodule("columns")
        vectors = columns(inputs([0.5, -1.0], [4, 0]))[0]
        city = columns.get_parameter("tables.0.weight")
        expected = torch.cat([torch.tensor([0.5, -1.0]), city[4], torch.zeros(2)])
        assert torch.equal(vectors, expected)

    def test_without_numbers_the_vectors_are_all_that_comes_in(self) -> None:
        network = build_network(plan_embedded(0, DENSE), seed=0)
        columns = network.get_submodule("columns")
        codes = torch.tensor([[4, 3], [1, 0]], dtype=torch.int32)
        city, shop = (columns.get_parameter(f"tables.{index}.weight") for index in (0, 1))
        expected = torch.cat([city[[4, 1]], shop[[3, 0]]], dim=1)
        assert torch.equal(columns({"codes": codes}), expected)
        assert list(network.state_dict())[:2] == [
            "columns.tables.0.weight",
            "columns.tables.1.weight",
        ]

    def test_codes_of_either_width_learn_the_same(self) -> None:
        gradients = []
        for dtype in (torch.int32, torch.int64):
            network = build_network(plan_embedded(0, DENSE), seed=0)
            codes = torch.randint(4, (40, 2), generator=torch.Generator().manual_seed(1))
            network({"codes": codes.to(dtype)}).square().sum().backward()
            gradients.append([parameter.grad for parameter in network.parameters()])
        assert all(map(torch.equal, *gradients))

    def test_the_vector_of_unseen_categories_stays_zero(self) -> None:
        _, network = self.network()
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        network(inputs([0.5, -1.0], [0, 2])).sum().backward()
        optimizer.step()
        weight = network.get_parameter("columns.tables.0.weight")
        assert not weight[0].any()

    def test_gradients_agree_with_finite_differences(self) -> None:
        _, network = self.network()
        network = network.double()
        names = [name for name, _ in network.named_parameters()]
        rows = {
            "numbers": torch.tensor([[0.5, -1.0], [0.1, 0.2]], dtype=torch.float64),
            "codes": torch.tensor([[4, 3], [1, 1]], dtype=torch.int32),
        }

        def output(*values: torch.Tensor) -> torch.Tensor:
            parameters = dict(zip(names, values, strict=True))
            result: torch.Tensor = torch.func.functional_call(network, parameters, (rows,))
            return result

        values = [parameter.detach().requires_grad_() for parameter in network.parameters()]
        assert torch.autograd.gradcheck(output, tuple(values))


@pytest.mark.parametrize(
    ("shape", "specs", "path", "message"),
    [
        (LONG, [DENSE], (0,), "gets [3, 16] and wants [features]; put {type: flatten} in front"),
        (FLAT, [{"type": "conv1d", "out_channels": 2, "kernel_size": 3}], (0,), "wants [channels,"),
        (FLAT, [{"type": "max_pool2d", "kernel_size": 2}], (0,), "gets [12] and wants [channels"),
        (FLAT, [{"type": "global_avg_pool"}], (0,), "gets [12] and wants"),
        (FLAT, [{"type": "reshape", "shape": [5, 2]}], (0,), "12 numbers, and wants 10"),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 2, "kernel_size": 17}],
            (0,),
            "gets [3, 16], smaller than its window [17]",
        ),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 4, "kernel_size": 3, "groups": 2}],
            (0,),
            "groups 2 doesn't divide the 3 channels in",
        ),
        (
            LONG,
            [{"type": "conv1d", "out_channels": 4, "kernel_size": 3, "stride": 2,
              "padding": "same"}],
            (0,),
            "padding: same goes with stride 1 only",
        ),
        (LONG, [{"type": "max_pool1d", "kernel_size": 3, "padding": 2}], (0,), "more than half"),
        (
            FLAT,
            [{"type": "residual", "layers": [DENSE, {"type": "dense", "units": 2}]}, DENSE],
            (0, "layers", 0),
            "`units` is missing",
        ),
        (
            LONG,
            [{"type": "residual", "layers": [{"type": "flatten"}]}, DENSE],
            (0,),
            "no projection takes its input [3, 16] to its layers' [48]",
        ),
        (
            FLAT,
            [{"type": "dense", "units": 3, "initial": {"weight": [[1, 2]]}}, DENSE],
            (0, "initial", "weight"),
            "has the shape [1, 2] and the layer wants [3, 12]",
        ),
        (
            FLAT,
            [{"type": "dense", "units": 3, "initial": {"bias": [1, 2]}}, DENSE],
            (0, "initial", "bias"),
            "has the shape [2] and the layer wants [3]",
        ),
        (FLAT, [{"type": "dense", "units": 3}], (0,), "the network gives [3] and the target wants"),
        (FLAT, [DENSE, {"type": "reshape", "shape": [2, 1]}], (1,), "the network gives [2, 1]"),
        (LONG, [{"type": "flatten"}], (0,), "the network gives [48] and the target wants [2]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_layer(
    shape: tuple[int, ...], specs: list[dict[str, Any]], path: tuple[object, ...], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        plan(shape, *specs)
    assert caught.value.path == path
    assert message in str(caught.value)


class TestInitialisation:
    def test_the_seed_alone_draws_the_weights_and_leaves_torch_alone(self) -> None:
        planned = plan((4,), {"type": "dense", "units": 8}, DENSE)
        torch.manual_seed(5)
        before = torch.random.get_rng_state()
        first = build_network(planned, seed=1).state_dict()
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(6)
        again, other = (build_network(planned, seed=seed).state_dict() for seed in (1, 2))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not torch.equal(first["0_dense.weight"], other["0_dense.weight"])

    def test_given_numbers_are_where_training_starts(self) -> None:
        spec = {"type": "dense", "initial": {"weight": [[3, -2], [0, 1]], "bias": [1, 2]}}
        network = build_network(plan((2,), spec), seed=0)
        assert network({"numbers": torch.tensor([[-1.0, 2.0]])}).tolist() == [[-6.0, 4.0]]

    @pytest.mark.parametrize(
        ("init", "deviation"),
        [
            ("kaiming_normal", (2 / 400) ** 0.5),
            ("kaiming_uniform", (2 / 400) ** 0.5),
            ("xavier_normal", (2 / 700) ** 0.5),
            ("xavier_uniform", (2 / 700) ** 0.5),
            ("orthogonal", (1 / 400) ** 0.5),
            ("truncated_normal", 0.02),
            ("zeros", 0.0),
        ],
    )
    def test_a_named_draw_has_its_spread_and_no_bias(self, init: str, deviation: float) -> None:
        spec = {"type": "dense", "units": 300, "init": init}
        state = build_network(plan((400,), spec, DENSE), seed=0).state_dict()
        assert state["0_dense.weight"].std().item() == pytest.approx(deviation, rel=0.03)
        assert not state["0_dense.bias"].any()


def test_a_dropped_activation_is_zero_and_the_others_are_scaled_up() -> None:
    network = build_network(plan((1000,), {"type": "dropout", "rate": 0.25}, DENSE), seed=0)
    dropped = network[1](torch.ones(1, 1000))
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert dropped.mean().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(network[1].eval()(torch.ones(1, 1000)), torch.ones(1, 1000))
