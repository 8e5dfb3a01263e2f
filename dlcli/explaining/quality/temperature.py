"""The temperature of a classifier: found on held-out rows, and whether it helps on others."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlcli.explaining.quality.minimising import minimise_between

MIN_ROWS = 50  # of fewer, the standard error of the gain is too uncertain to rely on
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.01, 100.0
_FINE, _ROUGH = 1e-6, 1e-3  # of the temperature's logarithm; the loss is flat at its minimum
_NUM_FOLDS = 5


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature found on some rows, and what it does to the log loss."""

    temperature: float | None  # None where no finite one is best
    num_rows: int
    loss_before: float  # the log loss of these rows, in nats
    loss_after: float  # with the temperature, on the rows that it was found on
    gain: float  # of the log loss, on rows that the temperature was not found on
    gain_error: float  # the standard error of the gain

    @property
    def is_clear(self) -> bool:
        """Whether the temperature helps by more than the error of what it gains."""
        return (
            self.temperature is not None
            and self.num_rows >= MIN_ROWS
            and self.gain > self.gain_error
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def assess_temperature(
    logits: np.ndarray, truth: np.ndarray, seed: int, weights: np.ndarray | None = None
) -> TemperatureFit:
    """Find the temperature of logits [rows, classes], and measure what it gains by cross-fitting.

    The gain of a row is its log loss without a temperature, less that with the temperature found on
    the four fifths of the rows that it is not among. On rows that are calibrated, the mean gain
    exceeds its standard error in at most 2 of 100 draws of 50 rows or more. `truth` is class
    indices, [rows]; `weights` [rows] say how much each counts.
    """
    losses = _losses(logits, truth, 1.0)
    gains = np.zeros(len(truth))
    order = np.random.default_rng(seed).permutation(len(truth))
    for fold in np.array_split(order, min(_NUM_FOLDS, len(truth))):
        rest = np.setdiff1d(order, fold)
        found = fit_temperature(logits[rest], truth[rest], _taken(weights, rest), tolerance=_ROUGH)
        if found is not None:
            gains[fold] = losses[fold] - _losses(logits[fold], truth[fold], found)
    temperature = fit_temperature(logits, truth, weights)
    before = float(np.average(losses, weights=weights))
    after = before if temperature is None else log_loss(logits, truth, temperature, weights)
    return TemperatureFit(temperature, len(truth), before, after, *_mean_and_error(gains, weights))


def fit_temperature(
    logits: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    tolerance: float = _FINE,
) -> float | None:
    """Return the divisor of logits [rows, classes] with the lowest log loss.

    None where it is unbounded: where all rows are right, smaller is always better, and where the
    logits hold no information, larger is. `tolerance` is that of its logarithm. Guo et al. (2017),
    On calibration of modern neural networks, arXiv:1706.04599.
    """
    if not len(truth):
        return None
    centered = logits - logits.max(axis=1, keepdims=True)
    if (centered.argmax(axis=1) == truth).all() or not centered.any():
        return None
    # The loss is convex in the inverse, so the search over logarithms finds its only minimum.
    power = minimise_between(
        lambda power: log_loss(centered, truth, math.exp(power), weights),
        math.log(_MIN_TEMPERATURE),
        math.log(_MAX_TEMPERATURE),
        tolerance=tolerance,
    )
    temperature = math.exp(power)
    is_inside = 1.01 * _MIN_TEMPERATURE < temperature < _MAX_TEMPERATURE / 1.01
    return temperature if is_inside else None


def log_loss(
    logits: np.ndarray,
    truth: np.ndarray,
    temperature: float = 1.0,
    weights: np.ndarray | None = None,
) -> float:
    """Return the mean of -log of the true class's probability."""
    losses = _losses(logits, truth, temperature)
    return float(losses.mean() if weights is None else np.average(losses, weights=weights))


def _losses(logits: np.ndarray, truth: np.ndarray, temperature: float) -> np.ndarray:
    """Return -log of the true class's probability, [rows]."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    losses: np.ndarray = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]
    return losses


def _taken(weights: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if weights is None else weights[rows]


def _mean_and_error(values: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """Return the weighted mean of some values and its standard error."""
    counts = np.ones(len(values)) if weights is None else weights
    mean = float(np.average(values, weights=counts))
    spread = float(((counts * (values - mean)) ** 2).sum()) ** 0.5 / float(counts.sum())
    return mean, spread * (len(values) / max(1, len(values) - 1)) ** 0.5
