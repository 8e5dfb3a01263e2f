"""Whether probabilities are what they say, and what would mend them."""

import math
from dataclasses import dataclass

import numpy as np

_MAX_BINS = 15
_ROWS_A_BIN = 10  # at least, where there are as many
_NUM_CHANCES = 1000
_CHANCE = 0.95  # of calibrated networks have an error below what is told
_COLDEST, _HOTTEST = 0.01, 100.0
_DEVIATIONS = 1.96  # of an interval of 95 %


@dataclass(frozen=True)
class Reliability:
    """Rows in bins of alike confidence, and how often they are right."""

    confidence: np.ndarray  # [bins]: the mean probability of the predicted class
    accuracy: np.ndarray  # [bins]
    low: np.ndarray  # [bins]: where the accuracy lies with a confidence of 95 %, by Wilson (1927)
    high: np.ndarray
    num_rows: np.ndarray  # [bins]
    error: float  # the expected calibration error


@dataclass(frozen=True)
class TemperatureScaling:
    """What a temperature that was fitted to some rows does to the probabilities of others."""

    temperature: float | None  # None where no one is best
    num_rows: int  # that it was fitted to
    is_on_same_rows: bool  # are these the others, too?
    reliability: Reliability | None  # of the others, with it


def measure_reliability(probabilities: np.ndarray, truth: np.ndarray) -> Reliability:
    """Hold the predicted class's probability against how often it is right.

    `probabilities` [rows, classes], `truth` [rows] class indices. The expected calibration error
    (Naeini et al. 2015) is the mean over rows of their bin's gap between the two. Bins hold as
    many rows each, as far as rows of the same confidence, which stay together, allow it.
    """
    confidence, is_right = _confidence(probabilities, truth)
    bins = _bins(confidence)
    sizes = np.bincount(bins)
    mean = np.bincount(bins, confidence) / sizes
    accuracy = np.bincount(bins, is_right) / sizes
    low, high = _wilson(accuracy, sizes)
    error = float(sizes @ np.abs(accuracy - mean) / len(truth))
    return Reliability(mean, accuracy, low, high, sizes, error)


def chance_error(probabilities: np.ndarray, seed: int) -> float:
    """Return the error below which 95 % of networks would stay whose probabilities are right.

    Bins of few rows have gaps by chance alone: truth is drawn anew from the probabilities
    themselves (consistency resampling, Bröcker and Smith 2007).
    """
    confidence = probabilities.max(axis=1)
    bins = _bins(confidence)
    sizes = np.bincount(bins)
    # Rows of a bin are alike: their number of right ones is drawn as if they were the same.
    mean = np.clip(np.bincount(bins, confidence) / sizes, 0.0, 1.0)
    random = np.random.default_rng(seed)
    accuracy = random.binomial(sizes, mean, size=(_NUM_CHANCES, len(sizes))) / sizes
    errors = np.abs(accuracy - mean) @ sizes / len(confidence)
    return float(np.quantile(errors, _CHANCE))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float | None:
    """Return what logits [rows, classes] must be divided by to make the rows' log loss least.

    None where no number is: where all rows are right, the smaller the better, and the larger the
    better where the logits say nothing. Guo et al. (2017), On calibration of modern neural
    networks, arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar

    centered = logits - logits.max(axis=1, keepdims=True)
    if (centered.argmax(axis=1) == truth).all() or not centered.any():
        return None
    # The loss is convex in the factor, so its only minimum is found in the factor's logarithm too.
    least = minimize_scalar(
        lambda power: log_loss(centered, truth, math.exp(power)),
        bounds=(math.log(_COLDEST), math.log(_HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = math.exp(least.x)
    is_inside = 1.01 * _COLDEST < temperature < _HOTTEST / 1.01
    return temperature if is_inside else None


def scale_temperature(
    fitted: tuple[np.ndarray, np.ndarray],
    shown: tuple[np.ndarray, np.ndarray],
    *,
    is_on_same_rows: bool,
) -> TemperatureScaling:
    """Fit a temperature to some rows and measure what it does to others: logits and truth each."""
    temperature = fit_temperature(*fitted)
    reliability = None
    if temperature is not None:
        logits, truth = shown
        reliability = measure_reliability(softmax(logits / temperature), truth)
    return TemperatureScaling(temperature, len(fitted[1]), is_on_same_rows, reliability)


def log_loss(logits: np.ndarray, truth: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean of -log of the true class's probability."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    sums = np.log(np.exp(scaled).sum(axis=1))
    return float((sums - scaled[np.arange(len(truth)), truth]).mean())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, [rows, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _confidence(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == truth


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Return each row's bin, from 0 for the lowest confidence on, none of them empty."""
    num_bins = min(_MAX_BINS, max(1, len(confidence) // _ROWS_A_BIN))
    ordered = np.sort(confidence)
    edges = ordered[np.arange(1, num_bins) * len(confidence) // num_bins]
    found = np.searchsorted(np.unique(edges), confidence, side="right")
    bins: np.ndarray = np.unique(found, return_inverse=True)[1]
    return bins


def _wilson(share: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of shares of so many rows."""
    squared = _DEVIATIONS**2
    middle = (share + squared / (2 * sizes)) / (1 + squared / sizes)
    spread = share * (1 - share) / sizes + squared / (4 * sizes**2)
    reach = _DEVIATIONS * np.sqrt(spread) / (1 + squared / sizes)
    return middle - reach, middle + reach
