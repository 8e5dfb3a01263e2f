"""Rows on the device, and the order in which an epoch takes them."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from dlcli.data.dataset import Part
from dlcli.seeds import derive_seed

_WINDOW_BYTES = 2**20  # gathered at once: what caches hold


@dataclass(frozen=True)
class Rows:
    """Encoded rows as tensors on one device."""

    features: Tensor  # float32 [rows, num_inputs]
    targets: Tensor  # int64 or float32 [rows]

    def __len__(self) -> int:
        return len(self.targets)

    def cut(self, start: int, stop: int) -> "Rows":
        """Return some rows, in the same memory."""
        return Rows(self.features[start:stop], self.targets[start:stop])

    def head(self, num_rows: int) -> "Rows":
        """Return the first rows; itself where that is all of them."""
        return self if num_rows >= len(self) else self.cut(0, num_rows)

    def windows(
        self, *, seed: int, epoch: int, multiple: int, start: int
    ) -> Generator["Rows", None, None]:
        """Yield the rows in an epoch's order, see `RowSource`."""
        order = epoch_order(len(self), seed=seed, epoch=epoch).to(self.targets.device)
        rows_in_window = _WINDOW_BYTES // (self.features.shape[1] * self.features.itemsize)
        size = max(1, rows_in_window // multiple) * multiple
        for first in range(start // size * size, len(self), size):
            chosen = order[first : first + size]
            own = (tensor.index_select(0, chosen) for tensor in (self.features, self.targets))
            yield Rows(*own).cut(max(0, start - first), len(chosen))


class RowSource(Protocol):
    """Encoded rows, wherever they lie."""

    def __len__(self) -> int: ...

    def head(self, num_rows: int) -> Rows:
        """Return the first rows, on the device."""
        ...

    def windows(
        self, *, seed: int, epoch: int, multiple: int, start: int
    ) -> Generator[Rows, None, None]:
        """Yield the rows in an epoch's order from row `start` of it on, on the device.

        The order, and where windows end, is a function of the rows' number, the seed, the epoch
        and `multiple`, the rows of a batch: a resumed run's batches lie as they would have.
        """
        ...


def to_rows(part: Part, device: torch.device) -> Rows:
    """Copy a part's rows to the device."""
    return Rows(
        torch.tensor(part.features, device=device), torch.tensor(part.targets, device=device)
    )


def epoch_order(num_rows: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of an epoch's rows, int64 [rows]: a function of its arguments alone."""
    return shuffled(num_rows, derive_seed(seed, "order", epoch))


def shuffled(num_rows: int, seed: int) -> Tensor:
    """Return a random order, int64 [rows]."""
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))


def epoch_steps(
    rows: RowSource,
    *,
    batch_size: int | Literal["full"],
    accumulate: int,
    seed: int,
    epoch: int,
    start: int = 0,
) -> Generator[tuple[Rows, ...], None, None]:
    """Yield the batches of each optimizer step, in the epoch's order, from step `start` on."""
    if batch_size == "full":
        yield from [(rows.head(len(rows)),)][start:]
        return
    windows = rows.windows(
        seed=seed, epoch=epoch, multiple=batch_size, start=start * accumulate * batch_size
    )
    step: list[Rows] = []
    with closing(windows):
        for batch in _batches(windows, batch_size):
            step.append(batch)
            if len(step) == accumulate:
                yield tuple(step)
                step.clear()
    if step:
        yield tuple(step)


def _batches(windows: Iterator[Rows], size: int) -> Iterator[Rows]:
    """Cut windows into batches: views, but for a batch that lies in several windows."""
    held: Rows | None = None
    for window in windows:
        start = 0
        if held is not None:
            start = min(size - len(held), len(window))
            held = _joined(held, window.cut(0, start))
            if len(held) < size:
                continue
            yield held
        whole = start + (len(window) - start) // size * size
        features = torch.split(window.features[start:whole], size) if whole > start else ()
        targets = torch.split(window.targets[start:whole], size) if whole > start else ()
        for x, y in zip(features, targets, strict=True):
            yield Rows(x, y)
        held = window.cut(whole, len(window)) if whole < len(window) else None
    if held is not None:
        yield held


def _joined(first: Rows, second: Rows) -> Rows:
    return Rows(
        torch.cat([first.features, second.features]), torch.cat([first.targets, second.targets])
    )
