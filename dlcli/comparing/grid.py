"""Learning rates to try, which of them serves best, and how much that one matters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STEP = 10**0.5  # from one rate to the next
_NEAR = 0.1  # of the best loss: rates that are this close to it serve as well


@dataclass(frozen=True)
class Choice:
    """The rate that was chosen of a grid, and what else the grid shows."""

    lr: float
    loss: float  # the median over the tuning seeds
    edge: int  # -1: the lowest rate of the grid, 1: the highest, 0: neither
    serving: tuple[float, float]  # the lowest and the highest rate around it that serve as well

    @property
    def decades(self) -> float:
        """How wide the range of rates is that serve as well."""
        return math.log10(self.serving[1] / self.serving[0])


def rates_around(default: float, number: int) -> list[float]:
    """Return rates in even ratios, the default in their middle, or just above it."""
    return [default * _STEP ** (place - number // 2) for place in range(number)]


def grown(lrs: Sequence[float], edge: int) -> list[float]:
    """Return a grid with one rate more beyond the edge that it was chosen at."""
    lowest, highest = min(lrs), max(lrs)
    return sorted([*lrs, highest * _STEP if edge > 0 else lowest / _STEP])


def choose(losses: Mapping[float, Sequence[float]]) -> Choice | None:
    """Choose by each rate's median best loss over the tuning seeds, endless where one diverged.

    Of equal ones, the lowest rate. None where no rate has a finite median.
    """
    medians = {lr: _median(own) for lr, own in sorted(losses.items())}
    lrs = list(medians)
    best = min(lrs, key=lambda lr: medians[lr])
    if not math.isfinite(medians[best]):
        return None
    most = medians[best] + _NEAR * abs(medians[best])
    first = last = lrs.index(best)
    while first > 0 and medians[lrs[first - 1]] <= most:
        first -= 1
    while last < len(lrs) - 1 and medians[lrs[last + 1]] <= most:
        last += 1
    edge = 0 if len(lrs) == 1 else (best == lrs[-1]) - (best == lrs[0])
    return Choice(best, medians[best], edge, (lrs[first], lrs[last]))


def _median(values: Sequence[float]) -> float:
    """Return the middle value, the higher one of two: a run that diverged is not averaged away."""
    return sorted(values)[len(values) // 2]
