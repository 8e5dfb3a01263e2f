"""Learning rates to try, the best of them, and the range of rates that are nearly as good."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NUM_RATES = 5
_STEP = 10**0.5  # from one rate to the next
_MAX_ROUNDED = 0.1  # of a step on the logarithmic scale
_NEAR = 0.1  # of the best loss: rates within it are nearly as good


@dataclass(frozen=True)
class Choice:
    """The rate that was chosen from a grid, and what else the grid shows."""

    lr: float
    loss: float  # the median over the tuning seeds
    edge: int  # -1: the lowest rate of the grid, 1: the highest, 0: neither
    near: tuple[float, float]  # the lowest and the highest rate around it that are nearly as good

    @property
    def decades(self) -> float:
        """The width of the range of rates that are nearly as good."""
        return math.log10(self.near[1] / self.near[0])


def rates_around(default: float, number: int = NUM_RATES) -> list[float]:
    """Return rates in even ratios, the default in their middle, or just above it."""
    return [_beyond(default, _STEP ** (place - number // 2)) for place in range(number)]


def grown(lrs: Sequence[float], edge: int) -> list[float]:
    """Return a grid with one rate more beyond an edge, as far as its rates are apart on average.

    It has two rates at least.
    """
    ordered = sorted(lrs)
    ratio = (ordered[-1] / ordered[0]) ** (1 / (len(ordered) - 1))
    if edge > 0:
        return [*ordered, _beyond(ordered[-1], ratio)]
    return [_beyond(ordered[0], 1 / ratio), *ordered]


def edges_to_move(choices: Iterable[Choice | None]) -> list[int]:
    """Return the edges, -1 and 1, at which some choice lies; where all diverged, the lower one."""
    edges = {-1 if choice is None else choice.edge for choice in choices}
    return sorted(edges - {0})


def choose(losses: Mapping[float, Sequence[float]], *, solved: float = 0.0) -> Choice | None:
    """Choose by each rate's median best loss over the tuning seeds, infinite where one diverged.

    Of equal ones, the lowest rate; losses up to `solved` are all equal. None where no rate has a
    finite median. Rates without a run yet are left out.
    """
    medians = {lr: _median(values) for lr, values in sorted(losses.items()) if values}
    lrs = list(medians)
    lowest = max(min(medians.values(), default=math.inf), solved)
    if not math.isfinite(lowest):
        return None
    best = next(lr for lr in lrs if medians[lr] <= lowest)
    most = lowest + _NEAR * abs(lowest)
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


def _beyond(lr: float, ratio: float) -> float:
    """Return a rate in some ratio to another, as one would write it where that is near enough."""
    written = float(f"{lr * ratio:.2g}")
    is_near = abs(math.log(written / lr / ratio)) < _MAX_ROUNDED * abs(math.log(ratio) or math.inf)
    return written if is_near else lr * ratio
