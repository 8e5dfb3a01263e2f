"""Rows on the device, and the order in which an epoch takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlcli.data.dataset import Part
from dlcli.seeds import derive_seed


@dataclass(frozen=True)
class Rows:
    """Encoded rows as tensors on one device."""

    features: Tensor  # float32 [rows, num_inputs]
    targets: Tensor  # int64 or float32 [rows]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Batch:
    """Some of the rows, not gathered yet: that is left to who has memory for them."""

    rows: Rows
    places: Tensor | None  # int64 [batch]; None: all rows, as they stand

    def __len__(self) -> int:
        return len(self.rows if self.places is None else self.places)

    def gather(self) -> Rows:
        """Return its rows: all of them themselves, or copies."""
        if self.places is None:
            return self.rows
        features, targets = self.rows.features, self.rows.targets
        return Rows(features.index_select(0, self.places), targets.index_select(0, self.places))

    def gather_into(self, own: Rows) -> None:
        """Do so again, into what `gather` returned for a batch of this size."""
        if self.places is not None:
            torch.index_select(self.rows.features, 0, self.places, out=own.features)
            torch.index_select(self.rows.targets, 0, self.places, out=own.targets)
        elif own is not self.rows:
            own.features.copy_(self.rows.features)
            own.targets.copy_(self.rows.targets)


def to_rows(part: Part, device: torch.device) -> Rows:
    """Copy a part's rows to the device."""
    return Rows(
        torch.tensor(part.features, device=device), torch.tensor(part.targets, device=device)
    )


def epoch_order(num_rows: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of an epoch's rows, int64 [rows]: a function of its arguments alone."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(num_rows, generator=generator)


def num_steps(num_rows: int, batch_size: int | Literal["full"], accumulate: int) -> int:
    """Return the optimizer's steps in an epoch."""
    rows_a_step = num_rows if batch_size == "full" else batch_size * accumulate
    return -(-num_rows // rows_a_step)


def epoch_steps(
    rows: Rows,
    *,
    batch_size: int | Literal["full"],
    accumulate: int,
    seed: int,
    epoch: int,
    start: int = 0,
) -> Iterator[tuple[Batch, ...]]:
    """Yield the batches of each optimizer step, in the epoch's order, from step `start` on."""
    if batch_size == "full":
        yield from [(Batch(rows, None),)][start:]
        return
    order = epoch_order(len(rows), seed=seed, epoch=epoch).to(rows.targets.device)
    places = torch.split(order, batch_size)
    for first in range(start * accumulate, len(places), accumulate):
        yield tuple(Batch(rows, part) for part in places[first : first + accumulate])
