"""ROC and precision-recall curves, and running medians."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlcli.explaining.weighted import quantiles
from dlcli.metrics.rows import ScoredRows

MAX_CURVES = 7  # of classes
_STEPS = 201  # of a mean of curves
_WINDOW = 0.1  # of the rows, in a running quantile
_MIN_IN_WINDOW = 25
_MIN_DISTINCT = 10  # values of x


@dataclass(frozen=True)
class Curve:
    """Points in the order of descending scores, and the area under them."""

    x: np.ndarray  # [points]
    y: np.ndarray  # [points]
    area: float


def roc_curve(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None = None
) -> Curve:
    """Return the false (x) and the true positive rate (y), from (0, 0) on.

    A point for each score; there must be rows of both kinds.
    """
    right, wrong = _counts(scores, is_positive, weights)
    x = np.append(0.0, wrong / wrong[-1])
    y = np.append(0.0, right / right[-1])
    return Curve(x, y, float(np.trapezoid(y, x)))


def precision_recall_curve(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None = None
) -> Curve:
    """Return recall (x) and precision (y), from (0, 1) on; the area is the average precision.

    A point for each score. The area is a sum of steps: linear interpolation between points would
    be optimistic (Davis and Goadrich 2006).
    """
    right, wrong = _counts(scores, is_positive, weights)
    recall = np.append(0.0, right / right[-1])
    precision = right / (right + wrong)
    area = float(np.diff(recall) @ precision)
    return Curve(recall, np.append(1.0, precision), area)


def mean_roc(curves: Sequence[Curve]) -> Curve:
    """Return the mean height of curves at each false positive rate (Fawcett 2006)."""
    x = np.linspace(0.0, 1.0, _STEPS)
    heights = [np.interp(x, curve.x, curve.y) for curve in curves]
    mean = np.mean(heights, axis=0)
    # np.interp takes the last of several points at one x, and the curve starts at (0, 0).
    return Curve(np.append(0.0, x), np.append(0.0, mean), _mean_area(curves))


def mean_precision_recall(curves: Sequence[Curve]) -> Curve:
    """Return the mean precision of curves where they first reach each recall."""
    x = np.linspace(0.0, 1.0, _STEPS)
    # The first point is of no rows at all, so its precision doesn't count.
    heights = [curve.y[np.maximum(1, np.searchsorted(curve.x, x))] for curve in curves]
    return Curve(x, np.mean(heights, axis=0), _mean_area(curves))


def thin(curve: Curve, max_points: int = 250) -> Curve:
    """Drop points on straight lines, then points at even spacing until so many are left."""
    x, y = curve.x, curve.y
    steps = np.diff(x), np.diff(y)
    is_bend = steps[0][:-1] * steps[1][1:] != steps[0][1:] * steps[1][:-1]
    kept = np.flatnonzero(np.r_[True, is_bend, True])
    if len(kept) > max_points:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, max_points).astype(np.int64))]
    return Curve(x[kept], y[kept], curve.area)


@dataclass(frozen=True)
class ClassCurves:
    """The curves of one class against the rest."""

    index: int | None  # of the class; None for the mean over classes
    roc: Curve
    precision_recall: Curve
    share: float  # of the rows, or of their weight: the precision at chance level


def class_curves(
    rows: ScoredRows, weights: np.ndarray | None = None
) -> tuple[tuple[ClassCurves, ...], np.ndarray]:
    """Return the thinned curves of the worst classes, and the area of every class.

    The lowest area under the ROC curve comes first, and the mean over all classes last; two classes
    have one curve, of the second one. A class without rows, or with all rows, has no curve and the
    area NaN. Rows count as often as `weights` [rows] says; once without.
    """
    num_classes = rows.predictions.shape[1]
    areas = np.full(num_classes, np.nan)
    found = []
    for index in rows.scored_classes:
        is_class = rows.truth == index
        if is_class.all() or not is_class.any():
            continue
        roc = roc_curve(rows.predictions[:, index], is_class, weights)
        trade = precision_recall_curve(rows.predictions[:, index], is_class, weights)
        share = is_class.mean() if weights is None else np.average(is_class, weights=weights)
        found.append(ClassCurves(index, roc, trade, float(share)))
        areas[index] = roc.area
    if num_classes == 2:
        areas[0] = areas[1]
    mean = []
    if num_classes > 2 and found:
        share = float(np.mean([curve.share for curve in found]))
        rocs = mean_roc([curve.roc for curve in found])
        trades = mean_precision_recall([curve.precision_recall for curve in found])
        mean = [ClassCurves(None, rocs, trades, share)]
    found.sort(key=lambda curve: curve.roc.area)
    shown = [
        ClassCurves(curve.index, thin(curve.roc), thin(curve.precision_recall), curve.share)
        for curve in [*found[:MAX_CURVES], *mean]
    ]
    return tuple(shown), areas


@dataclass(frozen=True)
class Trend:
    """Quartiles of y among rows with similar x."""

    num_rows: int  # per point
    x: np.ndarray  # [points], ascending
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


def running_median(
    x: np.ndarray, y: np.ndarray, max_points: int = 60, weights: np.ndarray | None = None
) -> Trend | None:
    """Return y's median and quartiles over windows of a tenth of the rows, at least 25, by x.

    None where there are too few rows, or too few distinct x, for a trend.
    """
    width = max(_MIN_IN_WINDOW, round(_WINDOW * len(x)))
    if len(x) < 2 * width or len(np.unique(x)) < _MIN_DISTINCT:
        return None
    order = np.argsort(x, kind="stable")
    starts = np.unique(np.linspace(0, len(x) - width, max_points).astype(np.int64))
    windows = order[starts[:, None] + np.arange(width)]
    of_windows = None if weights is None else weights[windows]
    low, middle, high = quantiles(y[windows], [0.25, 0.5, 0.75], 1, of_windows)
    return Trend(width, np.median(x[windows], axis=1), low, middle, high)


def _counts(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows of each kind have at least each score, from the highest score down.

    With weights [rows], the weight of those rows.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    if weights is not None:
        right, wrong = (np.where(which, weights, 0.0) for which in (is_positive, ~is_positive))
        return np.cumsum(right[order])[ends], np.cumsum(wrong[order])[ends]
    right = np.cumsum(is_positive[order])[ends]
    return right, ends + 1 - right


def _mean_area(curves: Sequence[Curve]) -> float:
    return float(np.mean([curve.area for curve in curves]))
