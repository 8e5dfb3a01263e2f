"""Bootstrap: confidence intervals of metrics, by resampling rows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.metrics import Metric
from dlcli.metrics.accumulator import MetricAccumulator
from dlcli.metrics.rows import ScoredRows
from dlcli.training.engines.threads import using_threads

NUM_RESAMPLES = 1000
_FEW_RESAMPLES = 400  # of fewer, percentiles vary too much: they only give a standard error
_MIN_RESAMPLES = 50  # enough for one (Efron and Tibshirani 1993, section 6.4)
_SECONDS = 1e-7  # of a CPU core of 2020, to resample a row
_DEVIATIONS = 1.96  # of an interval of 95 %
_BLOCK_NUMBERS = 2**20  # counts held at once
_MAX_WHOLE = 2**23  # half of what float32 counts exactly to, as ties count half
_TAIL = 0.025  # probability on either side of an interval

MetricSamples = dict[str, np.ndarray]  # name → its value in each resample, NaN where undefined


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows, and the loss of each row."""

    values: np.ndarray  # probabilities [rows, classes] or numbers [rows]
    losses: np.ndarray  # [rows]


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % confidence interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


def affordable_resamples(num_rows: int, seconds: float) -> int:
    """Return how many resamples of so many rows take about so many seconds."""
    affordable = min(seconds / _SECONDS / num_rows, NUM_RESAMPLES)
    return max(int(affordable), _MIN_RESAMPLES)


def is_by_percentiles(num_resamples: int) -> bool:
    """Return whether intervals are percentiles, rather than multiples of a standard error."""
    return num_resamples >= _FEW_RESAMPLES


def resample(num_rows: int, seed: int, num_resamples: int = NUM_RESAMPLES) -> Iterator[np.ndarray]:
    """Yield how often each row is drawn, float64 [rows, some resamples]: as many draws as rows."""
    random = np.random.default_rng(seed)
    largest = max(1, _BLOCK_NUMBERS // num_rows)
    for start in range(0, num_resamples, largest):
        width = min(largest, num_resamples - start)
        drawn = random.integers(num_rows, size=(num_rows, width)) * width + np.arange(width)
        counts = np.bincount(drawn.ravel(), minlength=num_rows * width)
        yield counts.reshape(num_rows, width).astype(np.float64)


def bootstrap(
    predictors: Sequence[Predictions],
    truth: np.ndarray,
    metrics: Sequence[Metric],
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> list[MetricSamples]:
    """Return the loss and the metrics of each predictor on the same resamples of the rows.

    `truth` is class indices or numbers in the units of the predictions, [rows]. With `weights`
    [rows], each row counts as much wherever it is drawn, and all are as likely to be drawn. With
    `groups`, the number of each row's group, from 0, [rows], whole groups are drawn instead, as
    many as there are: rows of one needn't be independent then. Efron (1979), Bootstrap methods;
    Field and Welsh (2007), Bootstrapping clustered data.
    """
    scored = [ScoredRows(predictor.values, truth) for predictor in predictors]
    found: list[list[MetricSamples]] = [[] for _ in predictors]
    # Whole numbers add up as exactly in float32, and by class in a tenth of the time.
    is_light = weights is None and len(truth) <= _MAX_WHOLE and predictors[0].values.ndim == 2
    num_drawn = len(truth) if groups is None else int(groups.max()) + 1
    with using_threads(1):  # several would wait for each other longer than they work
        for drawn in resample(num_drawn, seed, num_resamples):
            counts = drawn if groups is None else drawn[groups]
            counts = counts if weights is None else counts * weights[:, None]
            total = len(truth) if counts is drawn else counts.sum(axis=0)
            added = counts.astype(np.float32) if is_light else counts
            for predictor, rows, samples in zip(predictors, scored, found, strict=True):
                accumulator = MetricAccumulator(metrics)
                accumulator.add(rows, added)
                loss = predictor.losses @ counts / total
                samples.append({"loss": loss} | accumulator.values())
    return [
        {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        for blocks in found
    ]


def estimate(value: float | None, resampled: np.ndarray, *, is_share: bool = False) -> Estimate:
    """Return a metric with its interval, over resamples that define it.

    Its percentiles (Efron 1981) or, of few resamples, as many standard errors to each side, within
    0 and 1 where it is a share.
    """
    known = resampled[np.isfinite(resampled)]
    if value is None or not len(known):
        return Estimate(value, None, None)
    if not is_by_percentiles(len(resampled)):
        reach = _DEVIATIONS * float(known.std())
        bounds = (0.0, 1.0) if is_share else (-math.inf, math.inf)
        return Estimate(value, max(value - reach, bounds[0]), min(value + reach, bounds[1]))
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return Estimate(value, float(low), float(high))
