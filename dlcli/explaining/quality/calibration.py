"""Calibration: confidence against accuracy, and temperature scaling."""

from dataclasses import dataclass

import numpy as np

from dlcli.explaining.quality.temperature import fit_temperature, log_loss

_MAX_BINS = 15
_MIN_ROWS_PER_BIN = 10
_NUM_SIMULATIONS = 1000
_CHANCE = 0.95  # share of calibrated networks with an error below the reported one
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
    is_applied: bool  # whether predictions of the run are made with it
    reliability: Reliability | None  # with the temperature
    losses: tuple[float, float] | None  # the log loss without and with it


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


def scale_temperature(
    fitted: tuple[np.ndarray, np.ndarray],
    shown: tuple[np.ndarray, np.ndarray],
    *,
    is_on_same_rows: bool,
    weights: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    applied: float | None = None,
) -> TemperatureScaling:
    """Fit a temperature on some rows and apply it to others: logits and truth each.

    `weights` say how much the rows of both count. `applied` is the temperature of the run, which is
    shown then, instead of one that is fitted here.
    """
    temperature = fit_temperature(*fitted, weights[0]) if applied is None else applied
    reliability, losses = None, None
    if temperature is not None:
        logits, truth = shown
        reliability = measure_reliability(softmax(logits / temperature), truth, weights[1])
        before, after = (log_loss(logits, truth, one, weights[1]) for one in (1.0, temperature))
        losses = before, after
    return TemperatureScaling(
        temperature,
        len(fitted[1]),
        is_on_same_rows,
        is_applied=applied is not None,
        reliability=reliability,
        losses=losses,
    )


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
