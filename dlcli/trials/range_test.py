"""The learning-rate range test: a few steps in which the rate rises from far too low to too high.

After Smith, *Cyclical learning rates for training neural networks* (2015, arXiv:1506.01186),
section 3.3. Several seeds do it at once, as one seed's losses say little. The rule that reads a
rate off the losses was chosen by measuring: docs/measurements/find-lr.md compares it with others.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from dlcli.trials.constant_baseline import ConstantBaseline
from dlcli.trials.rule import Rule, Stage
from dlcli.trials.trial import Trial

_HOPELESS = 10.0  # times the first loss: from there on, training has diverged
_SMOOTHED_DECADES = 0.5  # of rates: how far back the running mean of the losses reaches
_BELOW = 10.0  # the suggestion is the rate of the lowest loss, divided by it
_BEGUN = 0.1  # of the whole fall of the loss: from there on it falls
_STANDARD_ERRORS = 4.0  # of a fall that is no chance
_MIN_STEPS = 10  # of a curve that something can be read off


def rising_rates(lowest: float, highest: float, num_steps: int) -> list[float]:
    """Return a rate for each step, each the same ratio above the one before."""
    ratio = (highest / lowest) ** (1 / (num_steps - 1))
    return [lowest * ratio**step for step in range(num_steps)]


@dataclass(frozen=True)
class RangeReading:
    """The smoothed losses and the suggestion. Losses are in the target's units."""

    lrs: tuple[float, ...]  # of each step that was taken, rising
    losses: tuple[tuple[float, ...], ...]  # [steps][seeds], infinite: diverged
    smoothed: tuple[float, ...]  # the median over the seeds of their running means
    quartiles: tuple[tuple[float, float], ...]  # of those, over the seeds
    suggestion: float | None  # None: nothing can be suggested
    lowest_at: float  # the rate of the lowest smoothed loss
    begins_at: float | None  # the rate from which on the loss falls
    reason: str  # how the suggestion was read off, or why there is none


@dataclass
class RangeTest(Rule[RangeReading]):
    """One stage, a trial for each seed, which ends early where every seed's loss has exploded."""

    seeds: Sequence[int]
    lrs: Sequence[float]  # a step each
    changes: Mapping[str, JsonValue] = field(default_factory=dict)
    constant: ConstantBaseline | None = None  # on the training rows
    losses: list[tuple[float, ...]] = field(default_factory=list)  # [steps][seeds] so far

    def stages(self) -> Iterator[Stage]:
        """Yield the one stage."""
        trials = tuple(Trial(changes=dict(self.changes), seed=seed) for seed in self.seeds)
        yield Stage("rates", trials, lrs=tuple(self.lrs))

    def observe(self, losses: tuple[float, ...]) -> bool:
        """Take note of a step's losses; return whether the stage should go on.

        It is over where every seed's loss is ten times its first one.
        """
        self.losses.append(losses)
        return any(
            loss <= _HOPELESS * first for loss, first in zip(losses, self.losses[0], strict=True)
        )

    def conclude(self) -> RangeReading:
        """Read the suggestion off the losses."""
        return read_range(self.lrs, self.losses, self.constant)


def read_range(
    lrs: Sequence[float],
    losses: Sequence[Sequence[float]],
    constant: ConstantBaseline | None = None,
) -> RangeReading:
    """Read a test off its losses, [steps][seeds], each of the step at that rate.

    A suggestion is a rate of the range, and of a curve that falls by more than its noise. What the
    `constant` baseline, of the training rows, says of the lowest loss is added to the reason.
    """
    taken, steps_back = lrs[: len(losses)], _steps_back(lrs)
    running = _running_means(np.array(losses, np.float64), steps_back)
    low, middle, high = np.quantile(running, [0.25, 0.5, 0.75], axis=1, method="higher")
    lowest = int(np.argmin(middle))
    noise = _noise(np.array(losses, np.float64), lowest)
    curve = _Curve(lrs, middle, lowest, num_first=round(steps_back), noise=noise)
    unbeaten = None
    if constant is not None and np.isfinite(middle[lowest]):
        unbeaten = constant.why_not_beaten(float(middle[lowest]), "the lowest smoothed loss")
    obstacle = curve.obstacle()
    if obstacle is None and unbeaten is not None:
        obstacle = _Obstacle("nothing can be read off in so few steps; try more --steps")
    reason = curve.reason if obstacle is None else obstacle.text
    if unbeaten is not None and obstacle is not None and not obstacle.is_range_too_high:
        reason += f". {unbeaten.removesuffix('.')}"
    begins = curve.begins
    return RangeReading(
        lrs=tuple(taken),
        losses=tuple(map(tuple, losses)),
        smoothed=tuple(middle.tolist()),
        quartiles=tuple(zip(low.tolist(), high.tolist(), strict=True)),
        suggestion=curve.suggestion if obstacle is None else None,
        lowest_at=taken[lowest],
        begins_at=None if begins is None else taken[begins],
        reason=reason,
    )


class _Obstacle(NamedTuple):
    """Why nothing can be read off a curve, and in which direction to go."""

    text: str
    is_range_too_high: bool = False


@dataclass(frozen=True)
class _Curve:
    """The smoothed losses, and what is read off them."""

    lrs: Sequence[float]  # of the whole range
    smoothed: np.ndarray  # [steps taken]
    lowest: int
    num_first: int  # steps of the first loss that is as smooth as any
    noise: float  # of a step that is not smoothed

    @property
    def begins(self) -> int | None:
        """The step from which on the loss falls; None: nowhere."""
        first, fall = self.smoothed[0], self.smoothed[0] - self.smoothed[self.lowest]
        is_below = (self.smoothed[step] < first - _BEGUN * fall for step in range(self.lowest))
        return next((step for step, below in enumerate(is_below) if below), None)

    @property
    def suggestion(self) -> float:
        """A tenth of the rate of the lowest loss, within the range."""
        return max(self.lrs[0], float(f"{self.lrs[self.lowest] / _BELOW:.2g}"))

    @property
    def reason(self) -> str:
        """How the suggestion was read off."""
        return (
            f"the smoothed loss falls from about lr {self.lrs[self.begins or 0]:.2g} on and is "
            f"lowest at {self.lrs[self.lowest]:.2g}; the suggestion is a tenth of that, where "
            "training is stable"
        )

    def obstacle(self) -> _Obstacle | None:
        """Return why nothing can be read off; None: something can."""
        lowest, highest, best = self.lrs[0], self.lrs[-1], self.lrs[self.lowest]
        is_only_rising = self._is_rising_at_once and (
            self.lowest < _MIN_STEPS or self.begins is None
        )
        if not np.isfinite(self.smoothed[0]) or is_only_rising:
            return _Obstacle(
                f"the loss only rises from the lowest rate, {lowest:g}, on: try lower ones "
                "(--lowest), or look at the data's scale (data.scale)",
                is_range_too_high=True,
            )
        if not self._is_falling and self._is_rising:
            return _Obstacle(
                "nothing can be read off: the loss is flat within its noise until it rises: no "
                f"rate from {lowest:g} on lowers it in so few steps; try more --steps, or larger "
                "batches (training.batch_size)"
            )
        if not self._is_falling:
            return _Obstacle(
                "nothing can be read off: the loss is flat within its noise up to the highest "
                f"rate, {highest:g}: try higher ones (--highest)"
            )
        if self.lowest == len(self.lrs) - 1:
            return _Obstacle(
                f"the loss still falls at the highest rate, {highest:g}: try higher ones "
                "(--highest)"
            )
        if best / _BELOW < lowest:
            return _Obstacle(
                f"the smoothed loss is lowest at {best:.2g}, and a tenth of that is below the "
                f"lowest rate, {lowest:g}: try lower ones (--lowest)",
                is_range_too_high=True,
            )
        return None

    @property
    def _smooth_noise(self) -> float:
        return self.noise / math.sqrt(max(1, self.num_first))

    @property
    def _is_above(self) -> np.ndarray:
        """Whether the loss is above the first smooth one, at each step."""
        first = self.smoothed[min(self.num_first, len(self.smoothed)) - 1]
        above: np.ndarray = ~(self.smoothed <= first + self._smooth_noise)
        return above

    @property
    def _is_rising(self) -> bool:
        """Whether the test ended early, or with a loss above the first smooth one."""
        return len(self.smoothed) < len(self.lrs) or bool(self._is_above[-1])

    @property
    def _is_rising_at_once(self) -> bool:
        """Whether the loss rises for good before the rate is ten times the lowest.

        Where it is flat for longer, lower rates are as flat.
        """
        turn = 1 + max(np.flatnonzero(~self._is_above).tolist(), default=-1)
        return self._is_rising and self.lrs[min(turn, len(self.lrs) - 1)] < 10 * self.lrs[0]

    @property
    def _is_falling(self) -> bool:
        """Whether the lowest loss is clearly below the first step's, or the first smooth one."""
        first = self.smoothed[min(self.num_first - 1, self.lowest)]
        least = self.smoothed[self.lowest]
        is_below = bool(first - least > self._smooth_noise)
        return is_below or bool(self.smoothed[0] - least > self.noise)


def _noise(losses: np.ndarray, lowest: int) -> float:
    """Return how far the loss of a step may lie from another one by chance, as the curve has it.

    The variance is that of a step's difference from the next, and of a median of seeds π / 2 of
    their mean's. The lowest of many is far out: four standard errors. An exponential mean over k
    steps has 1 / 2k of a step's variance, and a difference of two of them 1 / k.
    """
    losses = losses[: max(lowest + 1, len(losses) // 4)]
    finite = [of_seed[np.isfinite(of_seed)] for of_seed in losses.T]
    variances = [np.mean(np.square(np.diff(of_seed))) / 2 for of_seed in finite if len(of_seed) > 1]
    if not variances:
        return 0.0
    return _STANDARD_ERRORS * math.sqrt(float(np.median(variances)) * math.pi / 2 / losses.shape[1])


def _steps_back(lrs: Sequence[float]) -> float:
    decades = math.log10(lrs[-1] / lrs[0])
    return max(1.0, _SMOOTHED_DECADES * (len(lrs) - 1) / decades)


def _running_means(losses: np.ndarray, steps_back: float) -> np.ndarray:
    """Return exponential running means, [steps, seeds], without a bias towards their start."""
    keep = 1 - 1 / steps_back
    means, total, weight = np.empty_like(losses), np.zeros(losses.shape[1]), 0.0
    for step, losses_of_step in enumerate(losses):
        # Nothing is kept of a loss that is infinite: 0 times it has no value.
        total = (keep * total if keep else 0.0) + (1 - keep) * losses_of_step
        weight = keep * weight + (1 - keep)
        means[step] = total / weight
    return means
