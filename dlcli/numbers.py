"""How numbers are written: with few digits, but never as a bound that they don't reach."""

import math

_MAX_WRITTEN_OUT = 1e10
_NOISE = 1e-9  # of sums in floating point: what is closer to 1 is 1
_MAX_DIGITS = 12


def number_text(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, written out where that is not too long.

    Where these would make 1 of it, though it is not 1, it gets more: `0.99996`.
    """
    text = f"{value:.{digits}g}"
    if abs(abs(value) - 1.0) > _NOISE:
        while abs(float(text)) == 1.0 and digits < _MAX_DIGITS:
            digits += 1
            text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text and 1 <= abs(value) < _MAX_WRITTEN_OUT else text


def percent_text(share: float, decimals: int = 0) -> str:
    """Return a share in percent; 0% and 100% are none and all, so others get more decimals."""
    if not math.isfinite(share):
        return "–"
    while True:
        text = f"{share:.{decimals}%}"
        is_bound = float(text[:-1]) in (0.0, 100.0)
        is_exact = min(abs(share), abs(share - 1.0)) <= _NOISE
        if not is_bound or is_exact or decimals >= _MAX_DIGITS:
            return text
        decimals += 1


def error_text(mean: float, error: float, digits: int = 4) -> str:
    """Return a mean and its error: 0.91 ± 0.02; what only rounding adds is no error."""
    is_noise = error <= _NOISE * abs(mean)
    return f"{number_text(mean, digits)} ± {0.0 if is_noise else error:.2g}"


def fixed_text(value: float, decimals: int = 3) -> str:
    """Return a number with so many decimals, more where these would make 0 or 1 of it."""
    text = f"{value:.{decimals}f}"
    while (
        abs(float(text)) in (0.0, 1.0)
        and min(abs(value), abs(abs(value) - 1.0)) > _NOISE
        and decimals < _MAX_DIGITS
    ):
        decimals += 1
        text = f"{value:.{decimals}f}"
    return text
