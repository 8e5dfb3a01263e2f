"""The shards of a step: parts of each batch, whose gradients are summed in their order.

How the shards are shared out among processes changes no bit of what comes out: each is computed by
itself, with random draws of its own, and sums go from the first shard to the last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlcli.seeds import derive_seed
from dlcli.training.optimizers import ALIGNMENT, FlatParameters
from dlcli.training.processes.group import Group
from dlcli.training.rows.batches import Rows

_NUM_VOTES = 5  # numbers that say how many processes want to stop, by reason: signals, time
_READ_STEPS = 16  # between two looks at them on a GPU: a look makes the CPU wait


def bounds(num_rows: int, shard: int, num_shards: int) -> tuple[int, int]:
    """Return a shard's first row of a batch, and the one after its last; sizes differ by one."""
    size, longer = divmod(num_rows, num_shards)
    start = shard * size + min(shard, longer)
    return start, start + size + (shard < longer)


@dataclass
class Shard:
    """A shard of the step under way, and where its sums go."""

    index: int
    num_shards: int
    sums: Tensor  # [numbers]: all of the below, in one tensor
    gradients: list[Tensor]  # views, one for each parameter
    loss: Tensor  # a view
    running: list[tuple[Tensor, Tensor]]  # a layer's running statistics, and the view for them

    def parts_of(self, batches: tuple[Rows, ...]) -> tuple[Rows, ...]:
        """Return the shard's rows of each batch that has some for it, in the same memory."""
        cuts = [(batch, *bounds(len(batch), self.index, self.num_shards)) for batch in batches]
        return tuple(batch.cut(start, stop) for batch, start, stop in cuts if start < stop)

    def take_note(self, loss: Tensor, *, share: float) -> None:
        """Add the loss, and the running statistics by the shard's share of the step's rows."""
        self.loss.copy_(loss)
        for statistics, view in self.running:
            torch.mul(statistics, share, out=view)


class ShardedStep:
    """Shares the shards of each step among the processes of a group, and sums what they find."""

    def __init__(
        self,
        num_shards: int,
        group: Group,
        buffers: Sequence[Tensor],
        flat: FlatParameters,
        *,
        seed: int,
    ) -> None:
        """Take a network's parameters, and the buffers that training changes.

        `seed` is that of the run.
        """
        device = flat.values.device
        self._running = [buffer for buffer in buffers if buffer.is_floating_point()]
        self._counters = [buffer for buffer in buffers if not buffer.is_floating_point()]
        self._group, self._flat, self._seed = group, flat, seed
        self._num_values = flat.values.numel()
        sizes = [self._num_values, 1, _NUM_VOTES, *(buffer.numel() for buffer in self._running)]
        # Each shard's sums begin where products are as fast, and have the same bits, as elsewhere.
        unit = ALIGNMENT * group.num_processes
        size = -(-sum(sizes) // unit) * unit
        mine = group.shares(num_shards)[group.rank]
        self._slots = torch.zeros(len(mine), size, device=device)
        self._total = torch.zeros(size, device=device)
        self._shards = [
            self._shard(index, num_shards, sums, sizes)
            for index, sums in zip(mine, self._slots, strict=True)
        ]
        _, self._loss, self._votes, *running = torch.split(self._total[: sum(sizes)], sizes)
        self._summed_running = [
            view.view_as(buffer) for view, buffer in zip(running, self._running, strict=True)
        ]
        self._generator = (
            torch.cuda.default_generators[device.index or 0]
            if device.type == "cuda"
            else torch.default_generator
        )
        self._number = 0
        self.vote: Callable[[], int | None] = lambda: None

    def _shard(self, index: int, num_shards: int, sums: Tensor, sizes: list[int]) -> Shard:
        values, loss, _, *running = torch.split(sums[: sum(sizes)], sizes)
        views = [view.view_as(one) for view, one in zip(running, self._running, strict=True)]
        return Shard(
            index,
            num_shards,
            sums,
            self._flat.split(values),
            loss[0],
            list(zip(self._running, views, strict=True)),
        )

    def begin(self, number: int) -> Iterator[Shard]:
        """Yield this process's shards of a step, each ready to be computed.

        What a shard draws is a function of the run's seed, the step's number and the shard; each
        begins from the running statistics that the step began with.
        """
        self._number = number
        before = [buffer.clone() for buffer in (*self._running, *self._counters)]
        for shard in self._shards:
            for buffer, value in zip((*self._running, *self._counters), before, strict=True):
                buffer.copy_(value)
            self._generator.manual_seed(derive_seed(self._seed, "dropout", number, shard.index))
            yield shard
        for buffer, value in zip(self._counters, before[len(self._running) :], strict=True):
            buffer.copy_(value)
        self._generator.manual_seed(derive_seed(self._seed, "dropout", number))

    def sum_up(self, *, num_batches: int) -> Tensor:
        """Leave the sums over all shards where one process would; return the loss, []."""
        vote, first = self.vote(), self._num_values + 1
        self._slots[:, first : first + _NUM_VOTES] = 0.0
        if vote is not None:
            self._slots[0, first + vote] = 1.0
        self._group.sum_in_order(self._slots, self._total)
        self._flat.gradient.copy_(self._total[: self._num_values])
        for buffer, summed in zip(self._running, self._summed_running, strict=True):
            buffer.copy_(summed)
        for counter in self._counters:
            counter.add_(num_batches)
        loss: Tensor = self._loss[0].clone()
        return loss

    def agreed_vote(self) -> int | None:
        """Return what some process has voted for, which all of them learn at the same step."""
        if self._votes.device.type != "cpu" and self._number % _READ_STEPS:
            return None
        votes = self._votes.tolist()
        return next((index for index, count in enumerate(votes) if count), None)
