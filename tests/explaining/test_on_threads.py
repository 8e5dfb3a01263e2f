"""What is computed with a network is the same on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlcli.explaining.explained_model import ExplainedModel
from dlcli.explaining.on_threads import compute_each
from dlcli.explaining.reasons.permutation_importance import measure_importance
from dlcli.explaining.surface.landscape import LossGrid, loss_landscape
from tests.explaining.made import Layers, make_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ExplainedModel:
    random = np.random.default_rng(0)
    x = random.standard_normal((300, 3))
    columns = {f"x{index}": x[:, index].tolist() for index in range(3)}
    layers: Layers = [{"type": "dense", "units": 8, "activation": "tanh"}, {"type": "dense"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("model"))
        return make_model({**columns, "y": (x @ [3.0, -2.0, 0.1]).tolist()}, "y", layers)


def test_threads_change_neither_results_nor_the_network(model: ExplainedModel) -> None:
    before = {name: weight.clone() for name, weight in model.network.state_dict().items()}
    rows = model.parts["train"].encoded
    alone, shared = (replace(model, num_threads=number) for number in (1, 3))
    grids = [loss_landscape(one, rows, seconds=0.2) for one in (alone, shared)]
    assert isinstance(grids[0], LossGrid)
    assert isinstance(grids[1], LossGrid)
    assert np.array_equal(grids[0].losses, grids[1].losses)
    assert measure_importance(alone) == measure_importance(shared)
    for name, weight in model.network.state_dict().items():
        assert torch.equal(weight, before[name])


def test_each_thread_has_a_network_and_one_of_torchs_threads(model: ExplainedModel) -> None:
    def compute(used: ExplainedModel, item: int) -> tuple[int, int, int]:
        return item, id(used.network), torch.get_num_threads()

    num_threads = torch.get_num_threads()
    found = compute_each(replace(model, num_threads=2), compute, range(20))
    assert [item for item, _, _ in found] == list(range(20))
    assert id(model.network) not in {network for _, network, _ in found}
    assert {number for _, _, number in found} == {1}
    assert torch.get_num_threads() == num_threads
