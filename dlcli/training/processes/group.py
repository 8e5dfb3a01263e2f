"""The processes that train one network, and what they exchange."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from dlcli.errors import DlcliError

Value = TypeVar("Value")


class FailedElsewhere(Exception):  # noqa: N818 - the name of what happened
    """Another process has failed, and says so itself; this one ends with its exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Group(ABC):
    """Processes that do the same, each with its share of the work."""

    rank: int
    num_processes: int
    local_rank: int | None = None  # among those on this machine; None: the only process

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def shares(self, num_parts: int) -> list[range]:
        """Return which of some parts of the work are each process's.

        Where they can't be shared evenly, the last processes have fewer, or none.
        """
        size = -(-num_parts // self.num_processes)
        starts = (min(rank * size, num_parts) for rank in range(self.num_processes))
        return [range(start, min(start + size, num_parts)) for start in starts]

    @abstractmethod
    def sum_in_order(self, parts: Tensor, total: Tensor) -> None:
        """Sum the parts of all processes [some, numbers], from the first to the last, into `total`.

        Every process has as many parts, and gets the same bits, whatever the processes' number,
        which has to divide that of the numbers.
        """

    @abstractmethod
    def gather(self, rows: Tensor, num_rows: Sequence[int]) -> Tensor:
        """Return the rows of all processes, [all rows, ...], of which each has so many."""

    @abstractmethod
    def everyones(self, value: Value) -> list[Value]:
        """Return the value of each process, by rank."""

    def together(self, function: Callable[[], Value]) -> list[Value]:
        """Call a function in each process, and return what each has returned, by rank.

        Where it raises a DlcliError in one of them, the first process raises that, and the others
        FailedElsewhere.
        """
        value: Value | None = None
        error: DlcliError | None = None
        try:
            value = function()
        except DlcliError as mine:
            error = mine
        outcomes = self.everyones((value, error))
        failed = [rank for rank, (_, some) in enumerate(outcomes) if some is not None]
        if not failed:
            return [one for one, _ in outcomes]  # type: ignore[misc]
        if not self.is_first:
            raise FailedElsewhere(outcomes[failed[0]][1].exit_code)  # type: ignore[union-attr]
        if error is not None:
            raise error
        other = outcomes[failed[0]][1]
        assert other is not None, "that is what it failed with"
        raise type(other)(f"process {failed[0]}: {other}")


class Alone(Group):
    """The only process."""

    def __init__(self) -> None:
        super().__init__(rank=0, num_processes=1)

    def sum_in_order(self, parts: Tensor, total: Tensor) -> None:
        """Sum the parts, from the first to the last."""
        sum_rows(parts, total)

    def gather(self, rows: Tensor, num_rows: Sequence[int]) -> Tensor:
        """Return them."""
        assert [len(rows)] == list(num_rows), "all rows are this process's"
        return rows

    def everyones(self, value: Value) -> list[Value]:
        """Return it."""
        return [value]


ALONE = Alone()


def sum_rows(rows: Tensor, total: Tensor) -> None:
    """Sum [rows, numbers] from the first row to the last: torch.sum has an order of its own."""
    if len(rows) == 1:
        total.copy_(rows[0])
        return
    torch.add(rows[0], rows[1], out=total)
    for row in rows[2:]:
        total.add_(row)
