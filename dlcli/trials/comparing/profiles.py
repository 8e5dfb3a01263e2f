"""Candidates over several problems: performance profiles, and a score from them.

After Dahl et al., *Benchmarking neural network training algorithms* (AlgoPerf, 2023), section 4.3;
the profiles are those of Dolan and Moré (2002).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LARGEST_RATIO = 4.0  # AlgoPerf's: a candidate slower than so many times the fastest scores 0


def ratios(times: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return times to the target, [problems] each, over the fastest candidate's on each problem.

    A target that was missed is infinite, as a time and as a ratio.
    """
    fastest = [min(on_problem) for on_problem in zip(*times.values(), strict=True)]
    return {
        name: [
            time / best if math.isfinite(time) else math.inf
            for time, best in zip(seconds, fastest, strict=True)
        ]
        for name, seconds in times.items()
    }


def share_within(ratios: Sequence[float], ratio: float) -> float:
    """Return a performance profile's value: the share of the problems within a ratio."""
    return sum(value <= ratio for value in ratios) / len(ratios)


def score(ratios: Sequence[float]) -> float:
    """Return the mean of a performance profile from 1 to LARGEST_RATIO: 1 at best, 0 at worst."""
    lost = LARGEST_RATIO - 1
    # The profile is a step for each problem, at its ratio: its area is what is left behind it.
    return sum(max(0.0, LARGEST_RATIO - value) for value in ratios) / lost / len(ratios)


@dataclass(frozen=True)
class Profile:
    """One candidate over several problems."""

    name: str
    times: tuple[float, ...]  # to the target, a problem each; infinite: missed
    ratios: tuple[float, ...]  # to the fastest candidate's
    score: float


def profile(times: Mapping[str, Sequence[float]]) -> list[Profile]:
    """Return each candidate's profile, the best score first."""
    found = [
        Profile(name, tuple(times[name]), tuple(relative), score(relative))
        for name, relative in ratios(times).items()
    ]
    return sorted(found, key=lambda one: -one.score)
