"""Bootstrap: confidence intervals of metrics, by resampling rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.config.sections.training import Metric

NUM_RESAMPLES = 1000
_BLOCK_NUMBERS = 2**20  # counts held at once
_TAIL = 0.025  # probability on either side of an interval

MetricSamples = dict[str, np.ndarray]  # name → its value in each resample, NaN where undefined
_Sum = Callable[[np.ndarray], np.ndarray]


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
    names: Sequence[Metric],
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> list[MetricSamples]:
    """Return the loss and the named metrics of each predictor on the same resamples of the rows.

    `truth` is class indices or numbers in the units of the predictions, [rows]. Metrics are those
    of `dlcli.training.metrics.score`, except roc_auc of several classes, which is the mean over
    those in a resample. Efron (1979), Bootstrap methods.
    """
    meters = [_meter(predictor, truth, names) for predictor in predictors]
    found: list[list[MetricSamples]] = [[] for _ in meters]
    for counts in resample(len(truth), seed, num_resamples):
        for meter, samples in zip(meters, found, strict=True):
            samples.append(meter(counts))
    return [
        {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        for blocks in found
    ]


def estimate(value: float | None, resampled: np.ndarray) -> Estimate:
    """Return a metric with its percentile interval (Efron 1981), over resamples that define it."""
    known = resampled[np.isfinite(resampled)]
    if value is None or not len(known):
        return Estimate(value, None, None)
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return Estimate(value, float(low), float(high))


def _meter(
    predictor: Predictions, truth: np.ndarray, names: Sequence[Metric]
) -> Callable[[np.ndarray], MetricSamples]:
    """Return the function from the rows' counts [rows, resamples] to metrics."""
    measure = (
        _number_meter(predictor, truth)
        if predictor.values.ndim == 1
        else _class_meter(predictor, truth)
    )

    def meter(counts: np.ndarray) -> MetricSamples:
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = {name: measure(name, counts) for name in names}
        return {"loss": predictor.losses @ counts / len(truth)} | figures

    return meter


def _number_meter(
    predictor: Predictions, truth: np.ndarray
) -> Callable[[Metric, np.ndarray], np.ndarray]:
    errors, centered = predictor.values - truth, truth - truth.mean()
    is_constant = np.ptp(truth) == 0

    def measure(name: Metric, counts: np.ndarray) -> np.ndarray:
        squared: np.ndarray = errors**2 @ counts
        match name:
            case "rmse":
                return np.sqrt(squared / len(truth))
            case "mae":
                mean: np.ndarray = np.abs(errors) @ counts / len(truth)
                return mean
            case "r2":
                spread = centered**2 @ counts - (centered @ counts) ** 2 / len(truth)
                # Rounding leaves something of the spread of equal numbers.
                none = is_constant | (spread <= 1e-12 * (centered**2).max() * len(truth))
                return np.where(none, np.nan, 1 - squared / spread)
            case _:
                raise ValueError(f"numbers have no {name}")

    return measure


def _class_meter(
    predictor: Predictions, truth: np.ndarray
) -> Callable[[Metric, np.ndarray], np.ndarray]:
    num_classes = predictor.values.shape[1]
    given = predictor.values.argmax(axis=1)
    by_truth, by_prediction = _summing(truth, num_classes), _summing(given, num_classes)
    by_right = _summing(np.where(given == truth, truth, -1), num_classes)
    scored = [1] if num_classes == 2 else range(num_classes)
    rankings: list[_Ranking] = []

    def measure(name: Metric, counts: np.ndarray) -> np.ndarray:
        right = by_right(counts)
        match name:
            case "accuracy":
                return np.asarray(right.sum(axis=0) / len(truth))
            case "balanced_accuracy":
                return _mean_of_known(right / (by_truth(counts)))
            case "macro_f1":
                return _mean_of_known(2 * right / (by_truth(counts) + by_prediction(counts)))
            case "roc_auc":
                if not rankings:
                    rankings.extend(_rank(predictor.values[:, k], truth == k) for k in scored)
                return _mean_of_known(np.stack([ranking.area(counts) for ranking in rankings]))
            case _:
                raise ValueError(f"classes have no {name}")

    return measure


def _summing(groups: np.ndarray, num_groups: int) -> _Sum:
    """Return the function that sums [rows, …] by group, [groups, …]; -1 is in no group."""
    from scipy import sparse

    rows = np.flatnonzero(groups >= 0)
    ones = np.ones(len(rows))
    matrix = sparse.csr_matrix((ones, (groups[rows], rows)), (num_groups, len(groups)))
    return lambda counts: np.asarray(matrix @ counts)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over classes of [classes, resamples], ignoring NaN."""
    known = np.isfinite(values)
    mean: np.ndarray = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


@dataclass(frozen=True)
class _Ranking:
    """The positions of a class's rows among the others, sorted by score, as sums over rows."""

    members: _Sum  # the class's rows, by score
    others: _Sum  # below the first of those scores, at it, between the first two, at the second …

    def area(self, counts: np.ndarray) -> np.ndarray:
        """Return the area under the ROC curve for each column of counts."""
        members, others = self.members(counts), self.others(counts)
        below = np.cumsum(others, axis=0)[:-1:2]
        won = (members * (below + others[1::2] / 2)).sum(axis=0)
        area: np.ndarray = won / (members.sum(axis=0) * others.sum(axis=0))
        return area


def _rank(scores: np.ndarray, is_member: np.ndarray) -> _Ranking:
    levels = np.unique(scores[is_member])
    if not len(levels):
        levels = np.zeros(1)
    place = np.searchsorted(levels, scores)
    is_at = levels[np.minimum(place, len(levels) - 1)] == scores
    return _Ranking(
        _summing(np.where(is_member, place, -1), len(levels)),
        _summing(np.where(is_member, -1, 2 * place + is_at), 2 * len(levels) + 1),
    )
