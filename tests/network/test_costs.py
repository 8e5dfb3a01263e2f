from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlcli.network.builder import build_network
from dlcli.network.costs import activation_bytes, multiply_adds
from tests.network.test_network import DENSE, EVERY_LAYER, name, plan


@pytest.mark.parametrize(("shape", "spec"), EVERY_LAYER, ids=name)
def test_multiply_adds_are_half_of_torchs_operations(
    shape: tuple[int, ...], spec: dict[str, Any]
) -> None:
    planned = plan(shape, spec, {"type": "flatten"}, DENSE)
    rows = torch.randn(3, int(torch.tensor(shape).prod()))
    with FlopCounterMode(display=False) as counter:
        build_network(planned, seed=0)({"numbers": rows})
    ours = sum(map(multiply_adds, planned.layers)) * len(rows)
    assert 2 * ours == counter.get_total_flops()


def test_memory_is_four_bytes_a_number_with_what_is_inside() -> None:
    inner = [{"type": "dense", "units": 7}, {"type": "dense", "units": 12}]
    planned = plan((12,), {"type": "residual", "layers": inner}, DENSE)
    assert activation_bytes(plan((3, 4), {"type": "flatten"}, DENSE).layers[0], 10) == 0
    assert activation_bytes(planned.layers[0], batch_size=10) == (7 + 12 + 12) * 10 * 4
