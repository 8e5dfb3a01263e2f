"""Minima of convex functions: of one number, and of a vector with a gradient."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]  # a vector → value and gradient

_GOLDEN = (math.sqrt(5) - 1) / 2
_NUM_PAIRS = 10  # of steps and changes of the gradient, which stand for the second derivatives
_SMALLEST_GRADIENT = 1e-5  # in every place
_DECREASE = 1e-4  # of what the gradient promises, which a step must reach
_MAX_HALVINGS = 10  # of a step: then rounding hides the decrease
_ROUNDING = 1e-10


def minimise_between(
    function: Callable[[float], float], low: float, high: float, *, tolerance: float
) -> float:
    """Return where a function that falls and then rises is lowest, by golden-section search."""
    first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_first, at_second = function(first), function(second)
    while high - low > tolerance:
        if at_first < at_second:
            high, second, at_second = second, first, at_first
            first = high - _GOLDEN * (high - low)
            at_first = function(first)
        else:
            low, first, at_first = first, second, at_second
            second = low + _GOLDEN * (high - low)
            at_second = function(second)
    return (low + high) / 2


def minimise(
    objective: Objective, start: np.ndarray, *, max_steps: int, tolerance: float
) -> tuple[np.ndarray, bool]:
    """Return the vector with the lowest value, and whether so many evaluations were enough.

    L-BFGS (Nocedal 1980), each step halved until it decreases the value enough. It ends where a
    step decreases the value by less than the tolerance, relative to it or to 1, whatever is more.
    """
    vector = start
    value, gradient = objective(vector)
    pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_NUM_PAIRS)
    num_left = max_steps - 1
    while np.abs(gradient).max() > _SMALLEST_GRADIENT:
        direction = -_inverse_times(pairs, gradient)
        slope, size = float(direction @ gradient), 1.0
        if not pairs:
            size = min(1.0, 1.0 / float(np.linalg.norm(gradient)))
        for _ in range(_MAX_HALVINGS):
            if not num_left:
                return vector, False
            num_left -= 1
            moved = vector + size * direction
            new_value, new_gradient = objective(moved)
            if new_value <= value + _DECREASE * size * slope:
                break
            size /= 2
        else:
            return vector, True
        step, change = moved - vector, new_gradient - gradient
        if step @ change > _ROUNDING * (change @ change):
            pairs.append((step, change))
        decrease = value - new_value
        vector, value, gradient = moved, new_value, new_gradient
        if decrease <= tolerance * max(abs(value), 1.0):
            break
    return vector, True


def _inverse_times(pairs: deque[tuple[np.ndarray, np.ndarray]], gradient: np.ndarray) -> np.ndarray:
    """Return the approximate inverse of the second derivatives times the gradient."""
    result = gradient.copy()
    shares = []
    for step, change in reversed(pairs):
        share = (step @ result) / (step @ change)
        shares.append(share)
        result -= share * change
    if pairs:
        step, change = pairs[-1]
        result *= (step @ change) / (change @ change)
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        result += (share - (change @ result) / (step @ change)) * step
    return result
