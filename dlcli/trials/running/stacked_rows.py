"""Rows of many runs side by side: each the rows of its fold, in its seed's order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dlcli.config.sections.training import TrainingConfig
from dlcli.training.rows.batches import Rows, Tensors, accompanied, epoch_order
from dlcli.training.rows.companions import EpochCompanions, companions_of
from dlcli.training.rows.steps import end_with
from dlcli.trials.setup import SharedSetup

_WINDOW_BYTES = 2**20  # of rows that are gathered at once


@dataclass(frozen=True)
class SlotRows:
    """The training rows of each slot of a stack: those of its fold, in its seed's order."""

    rows: Rows  # of all folds, one after the other
    starts: Tensor  # int64 [slots]: where those of each slot's fold begin, on the device
    num_rows: int  # of a fold
    seeds: Sequence[int]  # [slots]

    @classmethod
    def of(cls, setups: Sequence[SharedSetup], seeds: Sequence[int]) -> "SlotRows":
        """Take the setup of each slot, which stack with each other, and its seed."""
        distinct: list[SharedSetup] = []
        for setup in setups:
            if setup not in distinct:
                distinct.append(setup)
        num_rows = len(distinct[0].train)
        rows = distinct[0].train
        if len(distinct) > 1:
            rows = joined_rows([setup.train for setup in distinct])
        starts = torch.tensor([distinct.index(setup) * num_rows for setup in setups])
        return cls(rows, starts.to(rows.device), num_rows, seeds)

    def steps(self, settings: TrainingConfig, epoch: int) -> Iterator[tuple[Rows, ...]]:
        """Yield the batches of each step of an epoch, [slots, batch, *shape] of each field."""
        size, rows, num_slots = settings.batch_size, self.rows, len(self.seeds)
        companions = companions_of(settings.augment)
        beside = EpochCompanions.of(companions, self.num_rows, self.seeds, epoch, rows.device)
        if size == "full":
            if len(rows) == self.num_rows and beside is None:
                yield (rows.each(lambda tensor: tensor.expand(num_slots, *tensor.shape)),)
                return
            whole = torch.arange(self.num_rows, device=rows.device).expand(num_slots, -1)
            yield (self._taken(whole, beside),)
            return
        orders = torch.stack(
            [epoch_order(self.num_rows, seed=seed, epoch=epoch) for seed in self.seeds]
        )
        step: list[Rows] = []
        windows = self._windows(orders.to(rows.device), size, beside)
        batches = (batch for window in windows for batch in window.split(size, dim=1))
        for batch in end_with(settings.last_batch, batches, size, dim=1):
            step.append(batch)
            if len(step) == settings.accumulate_batches:
                yield tuple(step)
                step.clear()
        if step:
            yield tuple(step)

    def _windows(
        self, orders: Tensor, batch_size: int, beside: EpochCompanions | None
    ) -> Iterator[Rows]:
        bytes_a_row = self.rows.input_bytes * len(orders)
        num_rows = max(1, _WINDOW_BYTES // (bytes_a_row * batch_size)) * batch_size
        for order in torch.split(orders, num_rows, 1):
            yield self._taken(order, beside)

    def _taken(self, order: Tensor, beside: EpochCompanions | None) -> Rows:
        """Return rows of each slot by their indices in its fold, [slots, rows], with companions."""

        def take(numbers: Tensor) -> Rows:
            chosen = self.rows.take((numbers + self.starts[:, None]).reshape(-1))
            return chosen.each(partial(_unflattened, numbers.shape), numbers.shape[1])

        return accompanied(take(order), order, beside, take)


def stacked_steps(
    setup: SharedSetup, seeds: Sequence[int], epoch: int
) -> Iterator[tuple[Rows, ...]]:
    """Yield the batches of each step of an epoch of some seeds of one setup."""
    yield from SlotRows.of([setup] * len(seeds), seeds).steps(setup.settings, epoch)


@dataclass(frozen=True)
class HeldOutRows:
    """The validation rows of several folds side by side, zeros after those of the shorter ones."""

    rows: Rows  # [folds, longest, *shape]
    is_there: Tensor  # bool [folds, longest]

    @classmethod
    def of(cls, setups: Sequence[SharedSetup]) -> "HeldOutRows":
        """Take the setups of folds, which stack with each other."""
        parts = [setup.validation for setup in setups if setup.validation is not None]
        longest = max(map(len, parts))

        def padded(tensors: Sequence[Tensor]) -> Tensor:
            whole = tensors[0].new_zeros(len(tensors), longest, *tensors[0].shape[1:])
            for place, tensor in zip(whole, tensors, strict=True):
                place[: len(tensor)] = tensor
            return whole

        lengths = torch.tensor([len(part) for part in parts])
        is_there = torch.arange(longest) < lengths[:, None]
        inputs = {name: padded([part.inputs[name] for part in parts]) for name in parts[0].inputs}
        targets = {
            name: padded([part.targets[name] for part in parts]) for name in parts[0].targets
        }
        return cls(Rows(inputs, targets, longest), is_there.to(parts[0].device))


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several parts, one after the other."""

    def joined(of: Callable[[Rows], Tensors]) -> dict[str, Tensor]:
        return {name: torch.cat([of(part)[name] for part in parts]) for name in of(parts[0])}

    return Rows(
        joined(lambda part: part.inputs),
        joined(lambda part: part.targets),
        sum(map(len, parts)),
    )


def _unflattened(shape: torch.Size, tensor: Tensor) -> Tensor:
    """Return [seeds * rows, ...] as [seeds, rows, ...]."""
    return tensor.view(*shape, *tensor.shape[1:])
