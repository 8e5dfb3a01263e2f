"""How numbers are scaled: what is fitted to the training rows, and what a network gets."""

from typing import Annotated, Literal, assert_never, final

import numpy as np
from pydantic import Field

from dlcli.columns.running_statistics import (
    RunningStatistics,
    Sample,
    center_and_deviation,
    quantiles,
    total_count,
)
from dlcli.columns.scaling.normal import normal_probabilities, normal_quantiles
from dlcli.section import NonNegativeFloat, Section

Scale = Literal["standard", "minmax", "robust_clip", "quantile", "none"]

_CLIP = 3.0  # of Holzmüller et al. 2024
# As many landmarks as Gorishniy et al. 2022 and 2024 take: one in 30 rows, within these bounds.
_ROWS_A_LANDMARK, _MIN_LANDMARKS, _MAX_LANDMARKS = 30, 10, 1000
_MIN_SHARE = 1e-7  # of the rows: scikit-learn's, which keeps the numbers within ±5.2
_MIN_WIDTH = 1e-30  # of a bin: float32 holds 1 / width


@final
class SmoothClip(Section):
    """x / √(1 + (x / limit)²): nearly x where it is small, and never beyond the limit.

    Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", arXiv:2407.04491. With a limit
    of 0, of a column that is constant in training, every number is 0.
    """

    type: Literal["smooth_clip"] = "smooth_clip"
    limit: NonNegativeFloat

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return what becomes of numbers, [rows]."""
        if not self.limit:
            return np.zeros_like(numbers)
        clipped: np.ndarray = numbers / np.hypot(1.0, numbers / self.limit)  # squares may overflow
        return clipped

    def invert(self, clipped: np.ndarray) -> np.ndarray:
        """Return the numbers that become others, [rows]."""
        if not self.limit:
            return np.zeros_like(clipped)
        nearly_all = np.nextafter(1.0, 0.0)
        shares = np.clip(clipped / self.limit, -nearly_all, nearly_all)
        return clipped / np.sqrt((1 - shares) * (1 + shares))

    def in_words(self, scaled: str) -> str:
        """Say what becomes of a scaled number."""
        if not self.limit:
            return "0: the same in every training row"
        return f"{scaled}, clipped smoothly at ±{self.limit:g}"


@final
class NormalQuantiles(Section):
    """The standard normal quantile at a number's rank among the training rows, from 0 to 1.

    The rank is interpolated between landmarks, which are quantiles at equal steps, as in
    scikit-learn's QuantileTransformer. A number that several landmarks share has the middle of
    their ranks, at either end too.
    """

    type: Literal["normal_quantiles"] = "normal_quantiles"
    landmarks: Annotated[tuple[float, ...], Field(strict=False)]  # none: there was no number

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return what becomes of numbers, [rows]."""
        if not self.landmarks or self.landmarks[0] == self.landmarks[-1]:
            return np.zeros_like(numbers)
        marks, shares = np.array(self.landmarks), self._shares
        ranks = np.interp(numbers, marks, shares)
        shared = np.unique(marks[1:][np.diff(marks) == 0])
        if len(shared):
            first, behind = (np.searchsorted(marks, shared, side) for side in ("left", "right"))
            middles = (shares[first] + shares[behind - 1]) / 2
            places = np.minimum(np.searchsorted(shared, numbers), len(shared) - 1)
            ranks = np.where(shared[places] == numbers, middles[places], ranks)
        return normal_quantiles(np.clip(ranks, _MIN_SHARE, 1 - _MIN_SHARE))

    def invert(self, normal: np.ndarray) -> np.ndarray:
        """Return the numbers that become others, [rows]; 0 where there was none."""
        if not self.landmarks:
            return np.zeros_like(normal)
        ranks = normal_probabilities(normal)
        ranks[ranks <= _MIN_SHARE * (1 + 1e-6)] = 0.0
        ranks[ranks >= 1 - _MIN_SHARE * (1 + 1e-6)] = 1.0
        numbers: np.ndarray = np.interp(ranks, self._shares, self.landmarks)
        return numbers

    def in_words(self, scaled: str) -> str:
        """Say what becomes of a number."""
        del scaled
        return f"to a normal distribution, by {len(self.landmarks)} quantiles"

    @property
    def _shares(self) -> np.ndarray:
        return np.linspace(0.0, 1.0, len(self.landmarks))


Transform = Annotated[SmoothClip | NormalQuantiles, Field(discriminator="type")]

# What to subtract, what to divide by, and what becomes of the result.
Scaling = tuple[float, float, SmoothClip | NormalQuantiles | None]


def fit_scaling(numbers: RunningStatistics, sample: Sample, how: Scale) -> Scaling:
    """Fit to the numbers of the training rows, and to the sample of them that quantiles are of.

    Where all numbers are the same one, scaling gives 0 for it.
    """
    match how:
        case "none":
            return 0.0, 1.0, None
        case "standard":
            return (*center_and_deviation(numbers), None)
        case "minmax":
            if not numbers.count:
                return 0.0, 1.0, None
            return numbers.least, numbers.greatest - numbers.least or 1.0, None
        case "robust_clip":
            return _fit_robustly(numbers, sample)
        case "quantile":
            count = int(total_count(sample) / _ROWS_A_LANDMARK)
            num_landmarks = max(min(count, _MAX_LANDMARKS), _MIN_LANDMARKS)
            landmarks = quantiles(sample, np.linspace(0.0, 1.0, num_landmarks))
            return 0.0, 1.0, NormalQuantiles(landmarks=tuple(landmarks.tolist()))
        case _:
            assert_never(how)


def bin_edges(sample: Sample, num_bins: int) -> tuple[float, ...]:
    """Return the edges of bins between quantiles at equal steps, which float32 tells apart.

    Fewer than asked for where rows share numbers. There is one bin at least: where all numbers are
    the same one, or there is none, from there on.
    """
    found = quantiles(sample, np.linspace(0.0, 1.0, num_bins + 1)).astype(np.float32)
    edges: list[float] = []
    for edge in found.tolist():
        if not edges or edge - edges[-1] > _MIN_WIDTH:
            edges.append(edge)
    start = edges[0] if edges else 0.0
    return tuple(edges) if len(edges) > 1 else (start, start + max(1.0, abs(start)))


def _fit_robustly(numbers: RunningStatistics, sample: Sample) -> Scaling:
    """Return median, range of the middle half or, where that is 0, half the range, and the clip."""
    found = quantiles(sample, np.array([0.25, 0.5, 0.75]))
    if not len(found):
        return 0.0, 1.0, SmoothClip(limit=_CLIP)
    low, center, high = found.tolist()
    scale = (high - low) or 0.5 * (numbers.greatest - numbers.least)
    return center, scale or 1.0, SmoothClip(limit=_CLIP if scale else 0.0)
