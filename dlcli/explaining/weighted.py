"""Quantiles and means of values that count as often as their weights say."""

from collections.abc import Sequence

import numpy as np


def quantiles(
    values: np.ndarray, shares: Sequence[float], axis: int, weights: np.ndarray | None
) -> np.ndarray:
    """Return quantiles of values along an axis, [shares, …], as `np.quantile` does.

    With `weights`, which `values` has along that axis at the least, a quantile is the least value
    that has the share of the weight at or below it.
    """
    if weights is None:
        found: np.ndarray = np.quantile(values, shares, axis=axis)
        return found
    values = np.moveaxis(values, axis, -1)
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=-1)
    reached = np.cumsum(ordered, axis=-1)
    reached /= reached[..., -1:]
    places = [(reached < share).sum(axis=-1, keepdims=True) for share in shares]
    last = values.shape[-1] - 1
    return np.stack(
        [
            np.take_along_axis(
                values, np.take_along_axis(order, np.minimum(place, last), axis=-1), axis=-1
            )[..., 0]
            for place in places
        ]
    )


def mean_and_error(
    values: np.ndarray, weights: np.ndarray | None, groups: np.ndarray | None
) -> tuple[float, float]:
    """Return the mean of values [rows] and its standard error.

    With `groups`, the number of each row's group, from 0, values of one needn't be independent
    (Liang and Zeger 1986).
    """
    mean = float(np.average(values, weights=weights))
    total = float(len(values))
    pulls: np.ndarray = values - mean
    if weights is not None:
        pulls, total = pulls * weights, float(weights.sum())
    if groups is not None:
        pulls = np.bincount(groups, pulls)
    return mean, float(np.sqrt((pulls**2).sum()) / total)
