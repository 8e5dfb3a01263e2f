"""Rows on the device, and the order in which an epoch takes them."""

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dlcli.data.fields import Arrays, Examples, lengths_of, pad
from dlcli.data.signature import SEED, WEIGHT, partner_of
from dlcli.seeds import derive_seed
from dlcli.training.rows.companions import Companions, EpochCompanions
from dlcli.training.rows.like_lengths import by_length

_WINDOW_BYTES = 2**20  # gathered at once: what caches hold
_ALIGNED_BYTES = 64  # at multiples of which PyTorch allocates at least


Tensors = Mapping[str, Tensor]  # by field name


@dataclass(frozen=True)
class Rows:
    """Encoded rows on one device: a tensor [rows, *shape] for each field.

    A ragged field is padded with zeros to its longest row, [rows, longest, *shape], and each row's
    number of elements, int64 [rows], is beside it, under the name that `lengths_of` gives. Stacked
    rows, those of several seeds, are [seeds, rows, ...].
    """

    inputs: Tensors
    targets: Tensors
    num_rows: int

    def __len__(self) -> int:
        return self.num_rows

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return next(iter(self.targets.values())).device

    @property
    def weights(self) -> Tensor | None:
        """How much each row counts, float32 [rows]; None: each counts once."""
        return self.targets.get(WEIGHT)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Their number, and how wide each input is whose rows differ in length."""
        ragged = ragged_names(self.inputs)
        return (self.num_rows, *(self.inputs[name].shape[1] for name in ragged))

    @property
    def num_elements(self) -> np.ndarray | None:
        """How many elements each row has in all of its inputs, int64 [rows], on the CPU.

        None: rows don't differ in length.
        """
        lengths = [self.inputs[lengths_of(name)] for name in ragged_names(self.inputs)]
        return torch.stack(lengths).sum(0).cpu().numpy() if lengths else None

    @property
    def input_bytes(self) -> int:
        """Bytes of a row's inputs."""
        tensors = self.inputs.values()
        return sum(math.prod(tensor.shape[1:]) * tensor.itemsize for tensor in tensors)

    def each(self, change: Callable[[Tensor], Tensor], num_rows: int | None = None) -> "Rows":
        """Return rows of changed tensors; `num_rows` where their number changes too."""
        return Rows(
            {name: change(tensor) for name, tensor in self.inputs.items()},
            {name: change(tensor) for name, tensor in self.targets.items()},
            self.num_rows if num_rows is None else num_rows,
        )

    def copy_from(self, other: "Rows") -> None:
        """Become equal to rows of the same shapes, in the same memory as before."""
        for name, tensor in self.inputs.items():
            tensor.copy_(other.inputs[name])
        for name, tensor in self.targets.items():
            tensor.copy_(other.targets[name])

    def cut(self, start: int, stop: int) -> "Rows":
        """Return some rows, in the same memory."""
        stop = min(stop, self.num_rows)
        return self.each(lambda tensor: tensor[start:stop], max(0, stop - start))

    def take(self, chosen: Tensor) -> "Rows":
        """Return copies of some rows, by their indices, int64 [chosen]."""
        return self.each(lambda tensor: tensor.index_select(0, chosen), len(chosen))

    def split(self, size: int, dim: int = 0) -> Iterator["Rows"]:
        """Yield them in pieces of so many rows, the last one shorter, in the same memory."""
        pieces = zip(
            split_tensors(self.inputs, size, dim),
            split_tensors(self.targets, size, dim),
            strict=True,
        )
        left = self.num_rows
        for inputs, targets in pieces:
            yield Rows(inputs, targets, min(size, left))
            left -= size

    def seeded(self, seeds: Tensor) -> "Rows":
        """Return them with the seed of each row's draws, int64 [rows]."""
        return Rows(self.inputs, {**self.targets, SEED: seeds}, self.num_rows)

    def paired(self, partners: "Rows") -> "Rows":
        """Return them with all fields of other rows beside their own."""
        inputs = {partner_of(name): tensor for name, tensor in partners.inputs.items()}
        targets = {partner_of(name): tensor for name, tensor in partners.targets.items()}
        return Rows({**self.inputs, **inputs}, {**self.targets, **targets}, self.num_rows)

    def paired_with_next(self) -> "Rows":
        """Return each row with the one after it as its partner, the last with the first."""
        return self.paired(self.take(torch.arange(len(self), device=self.device).roll(-1)))

    def head(self, num_rows: int) -> "Rows":
        """Return the first rows; itself where that is all of them."""
        return self if num_rows >= len(self) else self.cut(0, num_rows)

    def windows(
        self,
        *,
        seed: int,
        epoch: int,
        multiple: int,
        start: int,
        companions: Companions = "nothing",
    ) -> Generator["Rows", None, None]:
        """Yield the rows in an epoch's order, see `BatchSource`."""
        order = epoch_order(len(self), seed=seed, epoch=epoch)
        lengths = self.num_elements
        if lengths is not None:
            alike = derive_seed(seed, "like lengths", epoch)
            order = order[by_length(lengths[order], batch_size=multiple, seed=alike)]
        order = order.to(self.device)
        beside = EpochCompanions.of(companions, len(self), seed, epoch, self.device)
        size = rows_in_window(self.input_bytes, multiple)
        for first in range(start // size * size, len(self), size):
            chosen = order[first : first + size]
            window = accompanied(self.take(chosen), chosen, beside, self.take)
            yield window.cut(max(0, start - first), len(chosen))


class BatchSource(Protocol):
    """Encoded rows, wherever they lie."""

    def __len__(self) -> int: ...

    def head(self, num_rows: int) -> Rows:
        """Return the first rows, on the device."""
        ...

    def take(self, chosen: Tensor) -> Rows:
        """Return some rows by their indices, int64 [chosen], on the device."""
        ...

    def windows(
        self,
        *,
        seed: int,
        epoch: int,
        multiple: int,
        start: int,
        companions: Companions = "nothing",
    ) -> Generator[Rows, None, None]:
        """Yield the rows in an epoch's order from row `start` of it on, on the device.

        The order, and where windows end, is a function of the rows' number, the seed, the epoch
        and `multiple`, the rows of a batch: a resumed run's batches lie as they would have. Where
        rows differ in length, it is one of their lengths too: those of a batch have like lengths.
        `companions` are what rows that are augmented have beside them.
        """
        ...


def ragged_names(inputs: Tensors) -> list[str]:
    """Return the names of the inputs whose rows differ in length."""
    return [name for name in inputs if lengths_of(name) in inputs]


def rows_in_window(row_bytes: int, multiple: int) -> int:
    """Return how many rows of a size are gathered at once: of whole batches of `multiple`."""
    return max(1, _WINDOW_BYTES // row_bytes // multiple) * multiple


def aligned(tensor: Tensor) -> Tensor:
    """Return a tensor that begins where tensors of their own do: itself, or a copy.

    Products round in another order where their factors begin elsewhere, as a batch of a few rows
    cut from many can.
    """
    return tensor if tensor.data_ptr() % _ALIGNED_BYTES == 0 else tensor.clone()


def split_tensors(tensors: Tensors, size: int, dim: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield tensors of the same number of rows in pieces of so many rows, the last one shorter."""
    names = tuple(tensors)
    split = [torch.split(tensor, size, dim) for tensor in tensors.values()]
    for pieces in zip(*split, strict=True):
        yield dict(zip(names, pieces, strict=True))


def accompanied(
    rows: Rows, numbers: Tensor, beside: EpochCompanions | None, take: Callable[[Tensor], Rows]
) -> Rows:
    """Return rows with their companions; `take` returns rows by their indices.

    `numbers` are the indices of `rows`, int64 [rows], or [runs, rows].
    """
    if beside is None:
        return rows
    seeded = rows.seeded(beside.seeds_of(numbers))
    if beside.partners is None:
        return seeded
    others = beside.partners.gather(-1, numbers)
    return seeded.paired(take(others).seeded(beside.seeds_of(others)))


def joined(first: Rows, second: Rows, dim: int = 0) -> Rows:
    """Return the rows of both, one after the other."""

    def both(one: Tensors, other: Tensors) -> dict[str, Tensor]:
        return {name: torch.cat([tensor, other[name]], dim) for name, tensor in one.items()}

    inputs, targets = both(first.inputs, second.inputs), both(first.targets, second.targets)
    return Rows(inputs, targets, len(first) + len(second))


def total_weight(batches: Sequence[Rows]) -> Tensor | None:
    """Return the weights of all rows together, [], or of each seed's stacked rows, [seeds].

    None: the rows have no weights.
    """
    if batches[0].weights is None:
        return None
    return torch.stack([batch.targets[WEIGHT].sum(-1) for batch in batches]).sum(0)


def as_shares(batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
    """Return batches in which each row's weight is its share of the total weight of them all.

    Every row has a weight above 0, so there is a total. Without weights, they are returned as they
    are.
    """
    total = total_weight(batches)
    if total is None:
        return batches
    return tuple(
        Rows(
            batch.inputs,
            {**batch.targets, WEIGHT: batch.targets[WEIGHT] / total[..., None]},
            batch.num_rows,
        )
        for batch in batches
    )


def to_rows(examples: Examples, device: torch.device) -> Rows:
    """Copy encoded rows to the device."""
    arrays = as_arrays(examples)
    return Rows(
        to_tensors(arrays.inputs, device), to_tensors(arrays.targets, device), len(examples)
    )


def to_tensors(arrays: Arrays, device: torch.device) -> dict[str, Tensor]:
    """Copy arrays to the device; pixels, which are most of what there is, share their memory."""
    return {
        name: torch.from_numpy(array).to(device)
        if array.dtype == np.uint8
        else torch.tensor(array, device=device)
        for name, array in arrays.items()
    }


def as_arrays(examples: Examples, longest: Mapping[str, int] | None = None) -> Examples:
    """Return examples whose ragged fields are padded, with their lengths as fields beside them.

    Each is padded to the length that `longest` says, or to that of its own longest row.
    """
    if not examples.lengths:
        return examples

    def padded(arrays: Arrays) -> dict[str, np.ndarray]:
        found = {}
        for name, array in arrays.items():
            found[name] = array
            if name in examples.lengths:
                lengths = examples.lengths[name]
                width = int(lengths.max(initial=0)) if longest is None else longest[name]
                found[name] = pad(array, lengths, max(1, width))  # layers take no empty ones
                found[lengths_of(name)] = lengths
        return found

    return Examples(padded(examples.inputs), padded(examples.targets), len(examples))


def epoch_order(num_rows: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of an epoch's rows, int64 [rows]: a function of its arguments alone."""
    return shuffled(num_rows, derive_seed(seed, "order", epoch))


def shuffled(num_rows: int, seed: int) -> Tensor:
    """Return a random order, int64 [rows]."""
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))
