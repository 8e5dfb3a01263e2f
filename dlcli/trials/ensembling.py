"""Weights of networks in an ensemble: all the same, or as often as each lowers the loss."""

from collections.abc import Callable, Sequence

import numpy as np

_MAX_ROUNDS = 50  # of greedy selection


def weighted_mean(predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the mean of predictions, [candidates] of [rows, …], by weights that add up to 1."""
    total = np.zeros_like(predictions[0], dtype=np.float64)
    for one, weight in zip(predictions, weights, strict=True):
        if weight:
            total += weight * one
    return total


def greedy_weights(
    predictions: Sequence[np.ndarray], loss: Callable[[np.ndarray], float]
) -> list[float]:
    """Return weights of candidates [candidates], which add up to 1, that lower the mean's loss.

    From none on, the candidate is added again and again, each as often as it helps, that lowers
    the loss most; the best of all these means is taken. Caruana, Niculescu-Mizil, Crew and Ksikes
    (2004), Ensemble selection from libraries of models. `predictions` are for the same rows,
    [rows, …], which no candidate was trained on; `loss` is that of predictions for them.
    """
    counts = np.zeros(len(predictions), np.int64)
    total = np.zeros_like(predictions[0], dtype=np.float64)
    best_loss, best = np.inf, counts
    for size in range(1, _MAX_ROUNDS + 1):
        losses = [loss((total + one) / size) for one in predictions]
        added = int(np.argmin(losses))
        counts = counts.copy()
        counts[added] += 1
        total += predictions[added]
        if losses[added] < best_loss:
            best_loss, best = losses[added], counts
    if not best.any():  # no loss is finite
        best = np.ones_like(counts)
    return (best / best.sum()).tolist()  # type: ignore[no-any-return]
