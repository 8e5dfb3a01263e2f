"""Whether a target of numbers is better learned by its logarithm."""

from dataclasses import dataclass

import numpy as np

_MIN_ROWS = 20
_ORDERS = 100.0  # from the 1 % to the 99 % quantile: two orders of magnitude
_SKEWED = 2.0  # that of an exponential distribution


@dataclass(frozen=True)
class TargetSkew:
    """What to do about a target's distribution."""

    wants_log: bool
    finding: str  # for people to read


def find_skew(name: str, numbers: np.ndarray) -> TargetSkew | None:
    """Look at a target, float64 [rows]; None where there is nothing to say.

    The logarithm is taken of positive numbers over two orders of magnitude that are less skewed by
    it.
    """
    if len(numbers) < _MIN_ROWS or not np.isfinite(numbers).all():
        return None
    skew = _skewness(numbers)
    ends = np.quantile(numbers, [0.01, 0.99])
    is_positive = bool(numbers.min() > 0)
    about = (
        f"'{name}' is skewed: its median is {np.median(numbers):.4g}, its mean "
        f"{numbers.mean():.4g}, its largest number {numbers.max():.4g}"
    )
    if is_positive and ends[1] >= _ORDERS * ends[0] and abs(_skewness(np.log(numbers))) < skew:
        return TargetSkew(
            True,
            f"'{name}' goes from {numbers.min():.4g} to {numbers.max():.4g}, over orders of "
            "magnitude: the network learns its logarithm, and predictions are medians, which are "
            "below the means; for those, set data.target_scale: standard",
        )
    if skew < _SKEWED:
        return None
    repair = "loss: huber weighs its large errors less"
    if is_positive:
        repair = f"data.target_scale: log learns relative errors instead, or {repair}"
    return TargetSkew(False, f"{about}, so a few rows decide the squared error; {repair}")


def _skewness(numbers: np.ndarray) -> float:
    """Return the third standardised moment; 0 of equal numbers."""
    away = numbers - numbers.mean()
    spread = np.sqrt((away**2).mean())
    return float((away**3).mean() / spread**3) if spread else 0.0
