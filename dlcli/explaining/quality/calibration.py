"""Calibration: confidence against accuracy, and temperature scaling."""

import math
from dataclasses import dataclass

import numpy as np

from dlcli.explaining.quality.minimising import minimise_between

_MAX_BINS = 15
_MIN_ROWS_PER_BIN = 10
_NUM_SIMULATIONS = 1000
_CHANCE = 0.95  # share of calibrated networks with an error below the reported one
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.01, 100.0
_DEVIATIONS = 1.96  # of an interval of 95 %


@dataclass(frozen=True)
class Reliability:
    """Accuracy by confidence, in bins of similar confidence."""

    confidence: np.ndarray  # [bins]: the mean probability of the predicted class
    accuracy: np.ndarray  # [bins]
    low: np.ndarray  # [bins]: 95 % interval of the accuracy, by Wilson (1927)
    high: np.ndarray
    num_rows: np.ndarray  # [bins]
    weight: np.ndarray  # [bins]: of their rows; their number where each counts once
    error: float  # the expected calibration error


@dataclass(frozen=True)
class TemperatureScaling:
    """A temperature that was fitted on some rows, and the calibration of others with it."""

    temperature: float | None  # None where no finite one is best
    num_rows: int  # that it was fitted on
    is_on_same_rows: bool  # whether it was fitted on the same rows
    reliability: Reliability | None  # with the temperature


def measure_reliability(
    probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> Reliability:
    """Compare the probability of the predicted class with the accuracy.

    `probabilities` [rows, classes], `truth` [rows] class indices. The expected calibration error
    (Naeini et al. 2015) is the mean over rows of their bin's gap between the two. Bins hold as
    many rows each, as far as rows of the same confidence, which stay together, allow it. With
    `weights` [rows], the means are weighted.
    """
    confidence, is_right = _confidence(probabilities, truth)
    bins = _bins(confidence)
    total = np.bincount(bins, weights)
    mean = np.bincount(bins, _times(confidence, weights)) / total
    accuracy = np.bincount(bins, _times(is_right, weights)) / total
    low, high = _wilson(accuracy, _effective_sizes(bins, weights))
    error = float(total @ np.abs(accuracy - mean) / total.sum())
    return Reliability(mean, accuracy, low, high, np.bincount(bins), total, error)


def chance_error(probabilities: np.ndarray, seed: int, weights: np.ndarray | None = None) -> float:
    """Return the error below which 95 % of perfectly calibrated networks stay.

    Bins of few rows have gaps by chance alone: true classes are drawn from the probabilities
    themselves (consistency resampling, Bröcker and Smith 2007).
    """
    confidence = probabilities.max(axis=1)
    bins = _bins(confidence)
    total = np.bincount(bins, weights)
    sizes = np.maximum(1, np.rint(_effective_sizes(bins, weights)).astype(np.int64))
    # Rows of a bin are similar: the number of correct ones is drawn as if they were the same.
    mean = np.clip(np.bincount(bins, _times(confidence, weights)) / total, 0.0, 1.0)
    random = np.random.default_rng(seed)
    accuracy = random.binomial(sizes, mean, size=(_NUM_SIMULATIONS, len(sizes))) / sizes
    errors = np.abs(accuracy - mean) @ total / total.sum()
    return float(np.quantile(errors, _CHANCE))


def fit_temperature(
    logits: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> float | None:
    """Return the divisor of logits [rows, classes] with the lowest log loss.

    None where it is unbounded: where all rows are right, smaller is always better, and where the
    logits hold no information, larger is. Guo et al. (2017), On calibration of modern neural
    networks, arXiv:1706.04599.
    """
    centered = logits - logits.max(axis=1, keepdims=True)
    if (centered.argmax(axis=1) == truth).all() or not centered.any():
        return None
    # The loss is convex in the inverse, so the search over logarithms finds its only minimum.
    power = minimise_between(
        lambda power: log_loss(centered, truth, math.exp(power), weights),
        math.log(_MIN_TEMPERATURE),
        math.log(_MAX_TEMPERATURE),
        tolerance=1e-6,
    )
    temperature = math.exp(power)
    is_inside = 1.01 * _MIN_TEMPERATURE < temperature < _MAX_TEMPERATURE / 1.01
    return temperature if is_inside else None


def scale_temperature(
    fitted: tuple[np.ndarray, np.ndarray],
    shown: tuple[np.ndarray, np.ndarray],
    *,
    is_on_same_rows: bool,
    weights: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> TemperatureScaling:
    """Fit a temperature on some rows and apply it to others: logits and truth each.

    `weights` say how much the rows of both count.
    """
    temperature = fit_temperature(*fitted, weights[0])
    reliability = None
    if temperature is not None:
        logits, truth = shown
        reliability = measure_reliability(softmax(logits / temperature), truth, weights[1])
    return TemperatureScaling(temperature, len(fitted[1]), is_on_same_rows, reliability)


def log_loss(
    logits: np.ndarray,
    truth: np.ndarray,
    temperature: float = 1.0,
    weights: np.ndarray | None = None,
) -> float:
    """Return the mean of -log of the true class's probability."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    sums = np.log(np.exp(scaled).sum(axis=1))
    losses = sums - scaled[np.arange(len(truth)), truth]
    return float(losses.mean() if weights is None else np.average(losses, weights=weights))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, [rows, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _confidence(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == truth


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Return each row's bin, from 0 for the lowest confidence on, none of them empty."""
    num_bins = min(_MAX_BINS, max(1, len(confidence) // _MIN_ROWS_PER_BIN))
    ordered = np.sort(confidence)
    edges = ordered[np.arange(1, num_bins) * len(confidence) // num_bins]
    found = np.searchsorted(np.unique(edges), confidence, side="right")
    bins: np.ndarray = np.unique(found, return_inverse=True)[1]
    return bins


def _times(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return values if weights is None else values * weights


def _effective_sizes(bins: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return how many rows that count alike say as much as those of each bin (Kish 1965)."""
    if weights is None:
        return np.bincount(bins)
    sizes: np.ndarray = np.bincount(bins, weights) ** 2 / np.bincount(bins, weights**2)
    return sizes


def _wilson(share: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of shares of so many rows."""
    squared = _DEVIATIONS**2
    middle = (share + squared / (2 * sizes)) / (1 + squared / sizes)
    spread = share * (1 - share) / sizes + squared / (4 * sizes**2)
    reach = _DEVIATIONS * np.sqrt(spread) / (1 + squared / sizes)
    return middle - reach, middle + reach
