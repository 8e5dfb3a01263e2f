"""The numbers that change with every step besides the learning rate: dropout, weight decay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from dlcli.layers.modules import RandomMask
from dlcli.schedules.base import ScheduledNumber
from dlcli.schedules.scheduled_number import scheduled
from dlcli.training.optimizers import FlatParameters, ManyRuns, Optimizer


@dataclass(frozen=True)
class ScheduledNumbers:
    """What changes over a run of known length, and where each number goes."""

    numbers: Sequence[tuple[ScheduledNumber, Callable[[float], None]]]
    num_steps: int

    @classmethod
    def of(
        cls,
        network: nn.Module,
        optimizers: Sequence[Optimizer[FlatParameters] | Optimizer[ManyRuns]],
        num_steps: int,
    ) -> "ScheduledNumbers":
        """Find what changes in a network and its optimizers."""
        masks = [module for module in network.modules() if isinstance(module, RandomMask)]
        found: list[tuple[ScheduledNumber | None, Callable[[float], None]]] = [
            *((mask.schedule, mask.set_rate) for mask in masks),
            *((scheduled(one.config.weight_decay), one.set_weight_decay) for one in optimizers),
        ]
        return cls([(number, change) for number, change in found if number], num_steps)

    def set(self, step: int) -> None:
        """Set all of them for a step of the run, counted from 0."""
        for number, change in self.numbers:
            change(number.at(step / self.num_steps))
