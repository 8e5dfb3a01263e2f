"""Ensembles whose members train as one: TabM's values, how they begin, costs, gradients, means."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlcli.config.sections.model import ModelConfig
from dlcli.data.signature import Signature
from dlcli.network.builder import build_network
from dlcli.network.plan import plan_model
from dlcli.training.objective import Objective
from tests.layers.samples import DENSE, MEMBERS, SHARES, plan_members
from tests.losses.examples import loss_of

HIDDEN = {"type": "dense", "units": 4, "activation": "relu"}
NORM = {"type": "batch_norm"}
LAYERS: list[dict[str, Any]] = [HIDDEN, {"type": "dropout", "rate": 0.2}, DENSE]

# Of tabm 0.0.3: TabM(n_num_features=3, d_out=3, k=2, n_blocks=2, d_block=4, dropout=0.0,
# arch_type="tabm", …, start_scaling_init="normal", or None for "tabm-packed"), its parameters those
# of `numbered` in the order below: the loss of four rows, the mean probabilities of the first two,
# and both after a step of SGD with lr=0.5.
PACKAGE = {
    "batch": (
        (1.6737357, [0.346215, 0.604550, 0.049236, 0.394327, 0.571500, 0.034173]),
        (1.3090874, [0.274028, 0.600225, 0.125746, 0.330586, 0.580728, 0.088685]),
    ),
    "mini": (
        (1.8083035, [0.699596, 0.098679, 0.201726, 0.605659, 0.138422, 0.255919]),
        (1.2802160, [0.478172, 0.227764, 0.294064, 0.430288, 0.253008, 0.316704]),
    ),
    "none": (
        (1.4605075, [0.147391, 0.483212, 0.369397, 0.108987, 0.524356, 0.366657]),
        (0.9007936, [0.346410, 0.281957, 0.371633, 0.149669, 0.587348, 0.262983]),
    ),
}
SCALED = ["0_dense.output_scale", "1_dense.input_scale", "1_dense.output_scale"]
ORDER = [
    *("members.weight", "0_dense.weight", "0_dense.output_scale", "0_dense.bias", "1_dense.weight"),
    *("1_dense.input_scale", "1_dense.output_scale", "1_dense.bias", "2_dense.weight"),
    "2_dense.bias",
]


def numbered(number: int, shape: torch.Size) -> torch.Tensor:
    return torch.sin(number + torch.arange(shape.numel())).view(shape)


@pytest.mark.parametrize("share", SHARES)
def test_values_and_a_step_are_those_of_the_tabm_package(share: str) -> None:
    model = {"layers": [HIDDEN, HIDDEN, DENSE], "ensemble": {"members": 2, "share": share}}
    loss = loss_of({"type": "cross_entropy"})
    planned = plan_model(ModelConfig.model_validate(model), Signature(3, (), None, 3), loss)
    network = build_network(planned, seed=0)
    parameters = dict(network.named_parameters())
    assert set(parameters) <= set(ORDER)
    with torch.no_grad():
        for number, name in enumerate(name for name in ORDER if name in parameters):
            parameters[name].copy_(numbered(number, parameters[name].shape))
    rows = {"numbers": torch.cos(torch.arange(12.0)).view(4, 3)}
    targets = torch.tensor([0, 1, 2, 1])
    objective = Objective(loss, None, 1.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for expected_loss, probabilities in PACKAGE[share]:
        value = objective(network.train()(rows), targets)
        assert value.item() == pytest.approx(expected_loss, rel=1e-5)
        with torch.no_grad():
            predicted = loss.predictions(network.eval()(rows))
        assert predicted[:2].ravel() == pytest.approx(probabilities, abs=2e-6)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()


class TestStart:
    def test_members_begin_with_signs_that_the_numbers_of_a_column_share(self) -> None:
        weights = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE), seed=1).state_dict()
        assert set(weights["members.weight"].flatten().tolist()) == {-1.0, 1.0}
        many = [
            build_network(plan_members("batch", HIDDEN, DENSE), seed=seed).state_dict()
            for seed in range(20)
        ]
        factors = torch.cat([one["members.weight"] for one in many])
        agree = (factors[:, None, :] == factors[:, :, None]).float().mean(0)
        assert agree[1, 2] == 1
        assert ((agree - 0.5).abs() < 0.25).sum() == 5 * 5 - 5 - 2

    def test_all_else_begins_as_in_the_package(self) -> None:
        network = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE), seed=1)
        weights = network.state_dict()
        assert all((weights[name] == 1).all() for name in SCALED)
        for name in ("0_dense.bias", "1_dense.bias"):
            assert (weights[name] == weights[name][0]).all()
        for name, inputs in (("0_dense.weight", 5), ("2_dense.weight", 4), ("2_dense.bias", 4)):
            assert weights[name].abs().max() <= inputs**-0.5
            assert len(weights[name].unique()) == weights[name].numel()

    @pytest.mark.parametrize("share", SHARES)
    def test_weights_drawn_by_name_are_drawn_for_each_member(self, share: str) -> None:
        drawn = {**HIDDEN, "init": "orthogonal"}
        weights = build_network(plan_members(share, drawn, DENSE), seed=1).state_dict()
        for matrix in weights["0_dense.weight"].view(-1, 4, 5):
            assert torch.allclose(matrix @ matrix.T, torch.eye(4), atol=1e-5)
        assert not weights["0_dense.bias"].any()


@pytest.mark.parametrize("share", SHARES)
def test_a_parametrization_changes_no_prediction_at_the_start(share: str) -> None:
    rows = {"numbers": torch.randn(7, 5, generator=torch.Generator().manual_seed(1))}
    ntk = [{**layer, "parametrization": "ntk"} for layer in (HIDDEN, HIDDEN, DENSE)]
    plain, scaled = (
        build_network(plan_members(share, *specs), seed=3)
        for specs in ([HIDDEN, HIDDEN, DENSE], ntk)
    )
    assert torch.allclose(plain(rows), scaled(rows), atol=1e-6)
    factors = scaled.state_dict()["1_dense.weight"] / plain.state_dict()["1_dense.weight"]
    assert torch.allclose(factors, torch.tensor(2.0))


@pytest.mark.parametrize("share", SHARES)
def test_parameters_and_operations_are_those_of_the_modules(share: str) -> None:
    planned = plan_members(share, *MEMBERS)
    network = build_network(planned, seed=0)
    for index, layer in enumerate(planned.layers):
        module = network.get_submodule(f"{index}_{layer.config.type}")
        assert sum(p.numel() for p in module.parameters()) == layer.num_parameters
        if not layer.inner:
            shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
            expected = layer.config.tensors(layer)
            assert shapes == {name: axes.shape for name, axes in expected.items()}
    assert sum(p.numel() for p in network.parameters()) == planned.num_parameters
    matrices = sorted(planned.matrices)
    assert matrices == sorted(tuple(p.shape) for p in network.parameters() if p.dim() > 1)
    with FlopCounterMode(display=False) as counter:
        network({"numbers": torch.ones(4, 5)})
    assert 2 * planned.multiply_adds * 4 == counter.get_total_flops()


@pytest.mark.parametrize("share", SHARES)
def test_gradients_agree_with_finite_differences(share: str) -> None:
    network = build_network(plan_members(share, *MEMBERS), seed=1).double()
    names = [name for name, _ in network.named_parameters()]

    def output(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)  # the same units dropped each time
        parameters = dict(zip(names, values, strict=True))
        result: torch.Tensor = torch.func.functional_call(network, parameters, ({"numbers": x},))
        return result

    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = [parameter.detach().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(output, (x.requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize("name", ["mse", "binary_cross_entropy", "cross_entropy"])
def test_a_prediction_is_the_mean_of_the_members_and_the_loss_the_mean_of_theirs(name: str) -> None:
    loss = loss_of({"type": name})
    network = build_network(plan_members("batch", HIDDEN, HIDDEN, DENSE, loss=name), seed=2)
    rows = {"numbers": 30 * torch.randn(50, 5, generator=torch.Generator().manual_seed(1))}
    targets = torch.arange(50) % 2 if name != "mse" else torch.arange(50.0)
    with torch.no_grad():
        members = network.train()(rows)
        together = network.eval()(rows)
    each = [members[:, place] for place in range(3)]
    mean = np.mean([loss.predictions(one) for one in each], axis=0)
    assert loss.predictions(together) == pytest.approx(mean, rel=1e-5, abs=1e-30)
    objective = Objective(loss, None, 1.0)
    losses = torch.stack([objective.each(one, targets) for one in each]).mean(0)
    assert torch.allclose(objective.each(members, targets), losses)
    assert torch.allclose(objective(members, targets), losses.mean())
    shares = torch.arange(50.0) / 1225
    assert torch.allclose(objective(members, targets, shares), (losses * shares).sum())
