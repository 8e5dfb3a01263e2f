"""Weights to start from, and what is drawn at random."""

import pytest
import torch

from dlcli.network.builder import build_network
from tests.layers.samples import DENSE, plan


class TestInitialisation:
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
            ("normal", (1 / 400) ** 0.5),
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
