"""Curves that show a trade or a trend, from scores and truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_CURVES = 7  # of classes
_STEPS = 201  # of a mean of curves
_WINDOW = 0.1  # of the rows, in a running quantile
_MIN_IN_WINDOW = 25
_MIN_DIFFERENT = 10  # x


@dataclass(frozen=True)
class Curve:
    """Points in the order of falling scores, and the area under them."""

    x: np.ndarray  # [points]
    y: np.ndarray  # [points]
    area: float


def roc_curve(scores: np.ndarray, is_positive: np.ndarray) -> Curve:
    """Return the false positives' share (x) and the true positives' one (y), from (0, 0) on.

    A point for each score; both kinds of rows must be there.
    """
    right, wrong = _counts(scores, is_positive)
    x = np.append(0.0, wrong / wrong[-1])
    y = np.append(0.0, right / right[-1])
    return Curve(x, y, float(np.trapezoid(y, x)))


def precision_recall_curve(scores: np.ndarray, is_positive: np.ndarray) -> Curve:
    """Return recall (x) and precision (y), from (0, 1) on; the area is the average precision.

    A point for each score. The area is summed up by steps, not by straight lines between points,
    which would flatter (Davis and Goadrich 2006).
    """
    right, wrong = _counts(scores, is_positive)
    recall = np.append(0.0, right / right[-1])
    precision = right / (right + wrong)
    area = float(np.diff(recall) @ precision)
    return Curve(recall, np.append(1.0, precision), area)


def mean_roc(curves: Sequence[Curve]) -> Curve:
    """Return the mean height of curves at each share of false positives (Fawcett 2006)."""
    x = np.linspace(0.0, 1.0, _STEPS)
    heights = [np.interp(x, own.x, own.y) for own in curves]
    mean = np.mean(heights, axis=0)
    # np.interp takes the last of several points at one x, and the curve starts at (0, 0).
    return Curve(np.append(0.0, x), np.append(0.0, mean), _mean_area(curves))


def mean_precision_recall(curves: Sequence[Curve]) -> Curve:
    """Return the mean precision of curves at each recall, where they first have as much."""
    x = np.linspace(0.0, 1.0, _STEPS)
    # The first point, of no rows at all, is no precision that a curve has.
    heights = [own.y[np.maximum(1, np.searchsorted(own.x, x))] for own in curves]
    return Curve(x, np.mean(heights, axis=0), _mean_area(curves))


def thin(curve: Curve, most_points: int = 250) -> Curve:
    """Leave out points on straight lines, and then evenly until so many are left."""
    x, y = curve.x, curve.y
    steps = np.diff(x), np.diff(y)
    is_bend = steps[0][:-1] * steps[1][1:] != steps[0][1:] * steps[1][:-1]
    kept = np.flatnonzero(np.r_[True, is_bend, True])
    if len(kept) > most_points:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, most_points).astype(np.int64))]
    return Curve(x[kept], y[kept], curve.area)


@dataclass(frozen=True)
class ClassCurves:
    """How a class is told from the rest."""

    index: int | None  # of the class; None for the mean over classes
    roc: Curve
    precision_recall: Curve
    share: float  # of the rows: the precision by chance


def class_curves(
    answers: np.ndarray, truth: np.ndarray
) -> tuple[tuple[ClassCurves, ...], np.ndarray]:
    """Return the curves of the classes that are told worst, thinned, and the area of every class.

    `answers` [rows, classes] probabilities, `truth` [rows] class indices. The lowest area under
    the ROC curve comes first, and the mean over all classes last; two classes have one curve, of
    the second one. A class that no row is of, or every row, has no curve, and NaN for an area.
    """
    num_classes = answers.shape[1]
    areas = np.full(num_classes, np.nan)
    found = []
    for index in [1] if num_classes == 2 else range(num_classes):
        is_own = truth == index
        if is_own.all() or not is_own.any():
            continue
        roc = roc_curve(answers[:, index], is_own)
        trade = precision_recall_curve(answers[:, index], is_own)
        found.append(ClassCurves(index, roc, trade, float(is_own.mean())))
        areas[index] = roc.area
    if num_classes == 2:
        areas[0] = areas[1]
    mean = []
    if num_classes > 2 and found:
        share = float(np.mean([own.share for own in found]))
        rocs = mean_roc([own.roc for own in found])
        trades = mean_precision_recall([own.precision_recall for own in found])
        mean = [ClassCurves(None, rocs, trades, share)]
    found.sort(key=lambda own: own.roc.area)
    shown = [
        ClassCurves(own.index, thin(own.roc), thin(own.precision_recall), own.share)
        for own in [*found[:MAX_CURVES], *mean]
    ]
    return tuple(shown), areas


@dataclass(frozen=True)
class Trend:
    """Quartiles of y among rows of alike x."""

    num_rows: int  # of which each point is
    x: np.ndarray  # [points], rising
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


def running_median(x: np.ndarray, y: np.ndarray, most_points: int = 60) -> Trend | None:
    """Return y's median and quartiles over windows of a tenth of the rows, at least 25, by x.

    None where there are too few rows, or too few different x, to tell a trend.
    """
    width = max(_MIN_IN_WINDOW, round(_WINDOW * len(x)))
    if len(x) < 2 * width or len(np.unique(x)) < _MIN_DIFFERENT:
        return None
    order = np.argsort(x, kind="stable")
    starts = np.unique(np.linspace(0, len(x) - width, most_points).astype(np.int64))
    windows = order[starts[:, None] + np.arange(width)]
    low, middle, high = np.quantile(y[windows], [0.25, 0.5, 0.75], axis=1)
    return Trend(width, np.median(x[windows], axis=1), low, middle, high)


def _counts(scores: np.ndarray, is_positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows of each kind have at least each score, from the highest one down."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = np.cumsum(is_positive[order])[ends]
    return right, ends + 1 - right


def _mean_area(curves: Sequence[Curve]) -> float:
    return float(np.mean([own.area for own in curves]))
