"""Batches of many seeds side by side: each seed's own rows, in its own order."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dlcli.training.rows.batches import Rows, epoch_order
from dlcli.trials.setup import SharedSetup

_WINDOW_BYTES = 2**20  # of rows that are gathered at once


def stacked_steps(
    setup: SharedSetup, seeds: Sequence[int], epoch: int
) -> Iterator[tuple[Rows, ...]]:
    """Yield the batches of each step of an epoch.

    Features are [seeds, batch, inputs], targets [seeds, batch].
    """
    rows, settings = setup.train, setup.settings
    size = settings.batch_size
    if size == "full":
        features = rows.features.expand(len(seeds), *rows.features.shape)
        yield (Rows(features, rows.targets.expand(len(seeds), -1)),)
        return
    orders = torch.stack([epoch_order(len(rows), seed=seed, epoch=epoch) for seed in seeds])
    step: list[Rows] = []
    for window in _windows(rows, orders, size):
        for features, targets in zip(
            torch.split(window.features, size, 1), torch.split(window.targets, size, 1), strict=True
        ):
            step.append(Rows(features, targets))
            if len(step) == settings.accumulate_batches:
                yield tuple(step)
                step.clear()
    if step:
        yield tuple(step)


def _windows(rows: Rows, orders: Tensor, batch_size: int) -> Iterator[Rows]:
    bytes_a_row = rows.features.shape[1] * rows.features.itemsize * len(orders)
    num_rows = max(1, _WINDOW_BYTES // (bytes_a_row * batch_size)) * batch_size
    for order in torch.split(orders, num_rows, 1):
        chosen = order.reshape(-1)
        yield Rows(
            rows.features.index_select(0, chosen).view(*order.shape, -1),
            rows.targets.index_select(0, chosen).view(order.shape),
        )
