"""Student's t distribution: probabilities and quantiles."""

import math

_ROUNDING = 1e-15
_LAST_STEP = 1e-9  # of Newton's method, relative: the error is its square


def two_sided_probability(t: float, num_degrees: float) -> float:
    """Return how likely a number is at least as far from 0 as `t`, with so many degrees of freedom.

    The regularised incomplete beta function I_x(ν / 2, 1 / 2) at x = ν / (ν + t²), by its continued
    fraction (DLMF 8.17.22).
    """
    if math.isinf(t):
        return 0.0
    half, total = num_degrees / 2, num_degrees + t * t
    near, far = num_degrees / total, t * t / total
    if t == 0:
        return 1.0
    log_beta = math.lgamma(half) + math.lgamma(0.5) - math.lgamma(half + 0.5)
    factor = math.exp(half * math.log(near) + 0.5 * math.log(far) - log_beta)
    if near < (half + 1) / (half + 2.5):  # where the fraction converges soon
        return factor * _beta_fraction(half, 0.5, near) / half
    return 1.0 - factor * _beta_fraction(0.5, half, far) / 0.5


def central_quantile(probability: float, num_degrees: float) -> float:
    """Return the distance from 0 within which a number lies with a probability, above 0."""
    t, step = 0.0, math.inf
    log_density = math.lgamma((num_degrees + 1) / 2) - math.lgamma(num_degrees / 2)
    log_density -= math.log(num_degrees * math.pi) / 2
    # Newton's method: the probability beyond is convex in t, so that it comes from below.
    while step > _LAST_STEP * t:
        slope = log_density - (num_degrees + 1) / 2 * math.log1p(t * t / num_degrees)
        step = (two_sided_probability(t, num_degrees) - (1 - probability)) / (2 * math.exp(slope))
        t += step
    return t


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    upper, lower = 1.0, 1.0 / (1.0 - (a + b) / (a + 1) * x)
    value, change, number = lower, math.inf, 0
    while abs(change - 1) > _ROUNDING:
        number += 1
        at = a + 2 * number
        even = number * (b - number) * x / ((at - 1) * at)
        lower, upper = 1.0 / (1.0 + even * lower), 1.0 + even / upper
        value *= lower * upper
        odd = -(a + number) * (a + b + number) * x / (at * (at + 1))
        lower, upper = 1.0 / (1.0 + odd * lower), 1.0 + odd / upper
        change = lower * upper
        value *= change
    return value
