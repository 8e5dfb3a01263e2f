"""Several processes, over torch.distributed: gloo between CPUs, NCCL between GPUs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from dlcli.training.processes.group import Group, Value, sum_rows

# PyTorch 2.13 calls it by another name.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
TIMEOUT = timedelta(days=7)  # of an exchange: the heartbeat tells who is gone, not a clock


class ExchangeBrokenError(Exception):
    """Another process is gone, or the way to it."""


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ExchangeBrokenError(str(error)) from None


class Several(Group):
    """The processes of torch.distributed's default group."""

    def sum_in_order(self, parts: Tensor, total: Tensor) -> None:
        """Exchange pieces of the parts, sum a piece here, and collect the other sums."""
        num_parts, size = parts.shape
        piece = size // self.num_processes
        by_process = parts.view(num_parts, self.num_processes, piece).transpose(0, 1).contiguous()
        received = torch.empty_like(by_process)
        with _explained():
            dist.all_to_all_single(received.view(-1), by_process.view(-1))
        summed = torch.empty(piece, dtype=parts.dtype, device=parts.device)
        sum_rows(received.view(-1, piece), summed)
        with _explained():
            if total.device.type == "cpu":  # twice as fast as gloo's all_gather
                dist.all_to_all_single(total, summed.repeat(self.num_processes))
            else:
                _all_gather(total, summed)

    def gather(self, rows: Tensor, num_rows: Sequence[int]) -> Tensor:
        """Collect them, each process's padded to the most that one has."""
        most = max(num_rows)
        padded = rows.new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows
        everyones = rows.new_empty(self.num_processes * most, *rows.shape[1:])
        with _explained():
            _all_gather(everyones, padded)
        pieces = zip(torch.split(everyones, most), num_rows, strict=True)
        return torch.cat([piece[:count] for piece, count in pieces])

    def everyones(self, value: Value) -> list[Value]:
        """Exchange values that can be pickled."""
        values: list[Value] = [value] * self.num_processes
        with _explained():
            dist.all_gather_object(values, value)
        return values
