"""Networks built from plans: their inputs, their seeds."""

import pytest
import torch
from torch import nn

from dlcli.network.builder import build_network
from dlcli.network.plan import Plan
from tests.layers.samples import DENSE, plan, plan_embedded


def inputs(numbers: list[float], codes: list[int]) -> dict[str, torch.Tensor]:
    """Return one row."""
    return {
        "numbers": torch.tensor([numbers]),
        "codes": torch.tensor([codes], dtype=torch.int32),
    }


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


def test_the_seed_alone_draws_the_weights_and_leaves_torch_alone() -> None:
    planned = plan((4,), {"type": "dense", "units": 8}, DENSE)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = build_network(planned, seed=1).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    again, other = (build_network(planned, seed=seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["0_dense.weight"], other["0_dense.weight"])


@pytest.mark.gpu
def test_building_a_network_draws_nothing_from_the_gpu() -> None:
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    build_network(plan((4,), DENSE), seed=1)
    assert torch.equal(torch.cuda.get_rng_state(), before)
