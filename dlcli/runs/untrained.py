"""A prepared run → its network as training begins with it."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from dlcli.network.builder import build_network
from dlcli.runs.preparation import Prepared
from dlcli.runs.training.run import AllRows, encode_to_disk
from dlcli.training.assembly import initialise_from_rows
from dlcli.training.rows.parts import rows_on


def untrained_network(prepared: Prepared, device: torch.device) -> nn.Module:
    """Build the network on a device, with the weights that training would begin with.

    Reads streamed rows only where some weights begin with statistics of training rows; DataError,
    StorageError.
    """
    plan, dataset, seed = prepared.plan, prepared.dataset, prepared.config.seed
    network = build_network(plan, seed=seed).to(device)
    if plan.starts_from_rows:
        with ExitStack() as stack:
            parts = dataset.parts
            rows: AllRows = {name: rows_on(part, device) for name, part in parts.items()}
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlcli-"))
            for _ in encode_to_disk(dataset, Path(folder), device, rows, stack):
                pass
            initialise_from_rows(network, plan, rows["train"], seed=seed)
    return network
