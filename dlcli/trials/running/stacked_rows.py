"""Batches of many seeds side by side: each seed's own rows, in its own order."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from dlcli.training.rows.batches import Rows, end_with, epoch_order
from dlcli.trials.setup import SharedSetup

_WINDOW_BYTES = 2**20  # of rows that are gathered at once


def stacked_steps(
    setup: SharedSetup, seeds: Sequence[int], epoch: int
) -> Iterator[tuple[Rows, ...]]:
    """Yield the batches of each step of an epoch, [seeds, batch, *shape] of each field."""
    rows, settings = setup.train, setup.settings
    size = settings.batch_size
    if size == "full":
        yield (rows.each(lambda tensor: tensor.expand(len(seeds), *tensor.shape)),)
        return
    orders = torch.stack([epoch_order(len(rows), seed=seed, epoch=epoch) for seed in seeds])
    orders = orders.to(rows.device)
    step: list[Rows] = []
    windows = _windows(rows, orders, size)
    batches = (batch for window in windows for batch in window.split(size, dim=1))
    for batch in end_with(settings.last_batch, batches, size, dim=1):
        step.append(batch)
        if len(step) == settings.accumulate_batches:
            yield tuple(step)
            step.clear()
    if step:
        yield tuple(step)


def _windows(rows: Rows, orders: Tensor, batch_size: int) -> Iterator[Rows]:
    bytes_a_row = rows.input_bytes * len(orders)
    num_rows = max(1, _WINDOW_BYTES // (bytes_a_row * batch_size)) * batch_size
    for order in torch.split(orders, num_rows, 1):
        chosen = order.reshape(-1)
        yield rows.take(chosen).each(partial(_unflattened, order.shape), order.shape[1])


def _unflattened(shape: torch.Size, tensor: Tensor) -> Tensor:
    """Return [seeds * rows, ...] as [seeds, rows, ...]."""
    return tensor.view(*shape, *tensor.shape[1:])
