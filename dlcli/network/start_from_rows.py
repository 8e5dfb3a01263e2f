"""Weights that begin with statistics of training rows, layer by layer."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from dlcli.layers.base import PlannedLayer
from dlcli.layers.modules import RandomMask
from dlcli.network.plan import Plan
from dlcli.seeds import derive_seed

_MAX_ROWS, _MIN_ROWS = 1024, 16
_MAX_NUMBERS = 2**25  # of all layers' outputs for all rows


def num_rows_to_start_from(plan: Plan) -> int:
    """Return how many rows are enough, where there are so many."""
    return max(_MIN_ROWS, min(_MAX_ROWS, _MAX_NUMBERS // max(1, plan.num_kept)))


def start_from_rows(
    network: nn.Module, plan: Plan, inputs: Mapping[str, Tensor], *, seed: int
) -> None:
    """Set the weights of the layers that begin with statistics of rows, given by input field.

    Each layer sees what those before it make of the rows with the weights that they begin with: as
    in training, with dropout, as in pytabkit 1.7, and batch norm with the statistics of these rows.
    What is drawn is a function of the seed; torch's own random state and the network's running
    statistics are left as they were. One thread does it, so that the bits don't depend on how many
    there are.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "weights from rows"))
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    was_training, num_threads = network.training, torch.get_num_threads()
    hooks = []
    network.eval()
    for module in network.modules():
        if isinstance(module, RandomMask):
            module.train()
    for name, layer in plan.modules():
        module = network.get_submodule(name)
        mixes_rows = layer.config.traits.row_mixing is not None and not plan.is_frozen(name)
        if mixes_rows:
            module.train()
        if layer.config.starts_from_rows:
            hooks.append(module.register_forward_pre_hook(partial(_start, layer, generator)))
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(derive_seed(seed, "dropout of rows to start from"))
            network(inputs)
            for name, buffer in network.named_buffers():
                buffer.copy_(buffers[name])
    finally:
        torch.set_num_threads(num_threads)
        for hook in hooks:
            hook.remove()
        network.train(was_training)


def _start(
    layer: PlannedLayer, generator: torch.Generator, module: nn.Module, given: tuple[Tensor, ...]
) -> None:
    layer.config.start_from_rows(layer, module, given[0], generator)
