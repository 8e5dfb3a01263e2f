"""What a learning-rate range test shows, and the rate that is read off it.

The rule was chosen by measuring: docs/measurements/find-lr.md has how it did beside others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SMOOTHED_DECADES = 0.5  # of rates: how far back the running mean of the losses reaches
_BELOW = 10.0  # the suggestion is so many times below the rate of the lowest loss
_BEGUN = 0.1  # of the whole fall of the loss: from there on it falls
_MIN_STEPS = 10  # of a curve that something can be read off


@dataclass(frozen=True)
class RangeReading:
    """The smoothed losses, and what they say. Losses are in the target's own units."""

    lrs: tuple[float, ...]  # of each step that was taken, rising
    losses: tuple[tuple[float, ...], ...]  # [steps][seeds], infinite: diverged
    smoothed: tuple[float, ...]  # the median over the seeds of their running means
    quartiles: tuple[tuple[float, float], ...]  # of those, over the seeds
    suggestion: float | None  # None: nothing can be suggested
    lowest_at: float  # the rate of the lowest smoothed loss
    begins_at: float | None  # the rate from which on the loss falls
    reason: str  # how the suggestion was read off, or why there is none


def read_range(lrs: Sequence[float], losses: Sequence[Sequence[float]]) -> RangeReading:
    """Read a test off its losses, [steps][seeds], each of the step at that rate."""
    taken = lrs[: len(losses)]
    running = _running_means(np.array(losses, np.float64), _steps_back(lrs))
    low, middle, high = np.quantile(running, [0.25, 0.5, 0.75], axis=1, method="higher")
    lowest = int(np.argmin(middle))
    fall = middle[0] - middle[lowest]
    begins = next(
        (index for index in range(lowest) if middle[index] < middle[0] - _BEGUN * fall), None
    )
    suggestion: float | None = None
    if not np.isfinite(middle[0]) or lowest < _MIN_STEPS or begins is None:
        reason = (
            f"the loss only rises from the lowest rate, {taken[0]:g}, on: try lower ones "
            "(--lowest), or look at the data's scale (data.scale)"
        )
    elif lowest == len(lrs) - 1:
        reason = (
            f"the loss still falls at the highest rate, {lrs[-1]:g}: try higher ones (--highest)"
        )
    else:
        suggestion = float(f"{taken[lowest] / _BELOW:.2g}")
        reason = (
            f"the smoothed loss falls from about lr {taken[begins]:.2g} on and is lowest at "
            f"{taken[lowest]:.2g}; the suggestion is a tenth of that, where training is stable"
        )
    return RangeReading(
        lrs=tuple(taken),
        losses=tuple(map(tuple, losses)),
        smoothed=tuple(middle.tolist()),
        quartiles=tuple(zip(low.tolist(), high.tolist(), strict=True)),
        suggestion=suggestion,
        lowest_at=taken[lowest],
        begins_at=None if begins is None else taken[begins],
        reason=reason,
    )


def _steps_back(lrs: Sequence[float]) -> float:
    decades = math.log10(lrs[-1] / lrs[0])
    return max(1.0, _SMOOTHED_DECADES * (len(lrs) - 1) / decades)


def _running_means(losses: np.ndarray, steps_back: float) -> np.ndarray:
    """Return exponential running means, [steps, seeds], without a bias towards their start."""
    keep = 1 - 1 / steps_back
    means, total, weight = np.empty_like(losses), np.zeros(losses.shape[1]), 0.0
    for step, losses_of_step in enumerate(losses):
        total = keep * total + (1 - keep) * losses_of_step
        weight = keep * weight + (1 - keep)
        means[step] = total / weight
    return means
