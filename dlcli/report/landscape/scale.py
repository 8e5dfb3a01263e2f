"""The colour scale of losses over a plane."""

from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap

from dlcli.numbers import percent_text

FLAT = 1e-3  # share of the highest loss: losses that differ by less are drawn as flat
_WIDE = 20.0  # ratio of losses above which the levels are spaced by a factor
_MIN_SHARE = 1e-8  # of the highest loss: lower losses share one colour
_FEW, _DEEP = 0.01, 4.0  # so does this share of points, where deeper than all others by this factor
_MAX_RATIO = 1e3  # to the median: higher losses share one colour
_NUM_LEVELS = 15
_PALE = 0.55  # share of white, behind several coloured paths
_MIN_POSITIVE = 1e-30


def choose_levels(losses: np.ndarray) -> np.ndarray:
    """Return rounded losses at which the colour changes, ascending, at least two.

    They are spaced by a factor where losses differ widely, and closer towards the lowest
    otherwise, so that the lines of a parabolic bowl are evenly spaced.
    """
    finite = losses[np.isfinite(losses)]
    low, high = float(finite.min()), float(finite.max())
    high = max(low, min(high, _MAX_RATIO * float(np.median(finite))))
    few = float(np.quantile(finite, _FEW))
    least = max(few if few > _DEEP * low else low, _MIN_SHARE * high)
    steps = np.linspace(0.0, 1.0, _NUM_LEVELS)
    if least > 0 and high > _WIDE * least:
        return _rounded(least * (high / least) ** steps, 2)
    if is_flat(losses):
        room = FLAT * high or 1.0
        return np.array([low - room, high + room])
    return _rounded(low + (high - low) * steps**2, 4)


def is_flat(losses: np.ndarray) -> bool:
    """Return whether losses are nearly equal."""
    low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
    return high - low <= FLAT * high


def extend_of(levels: np.ndarray, losses: np.ndarray) -> Literal["neither", "min", "max", "both"]:
    """Return on which sides of the levels there are losses that share one colour."""
    is_below = np.nanmin(losses) < levels[0]
    is_above = np.nanmax(losses) > levels[-1]
    if is_below and is_above:
        return "both"
    return "min" if is_below else "max" if is_above else "neither"


def _rounded(levels: np.ndarray, digits: int) -> np.ndarray:
    """Return levels with few digits, between which all of the exact ones lie."""
    units = 10.0 ** (np.floor(np.log10(np.maximum(levels, _MIN_POSITIVE))) - digits + 1)
    scaled = levels / units
    whole = np.array([np.floor(scaled[0]), *np.round(scaled[1:-1]), np.ceil(scaled[-1])])
    found = np.array([float(f"{level:.{digits}e}") for level in whole * units])
    found[0], found[-1] = min(found[0], levels[0]), max(found[-1], levels[-1])
    return np.unique(found)


def color_map(
    levels: np.ndarray, extend: Literal["neither", "min", "max", "both"], *, is_pale: bool
) -> tuple[Colormap, BoundaryNorm]:
    """Return colours from dark to bright, or all pale, evenly spaced over the bands."""
    base = colormaps["cividis"](np.linspace(0.0, 1.0, 256))
    if is_pale:
        base = _PALE + (1 - _PALE) * base
    return ListedColormap(base), BoundaryNorm(levels.tolist(), 256, extend=extend)


def loss_text(loss: float) -> str:
    """Write a loss with four significant digits."""
    if 1000 <= abs(loss) < 1e7:
        return f"{float(f'{loss:.4g}'):,.0f}"
    return f"{loss:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def percent(share: float) -> str:
    """Write a share."""
    return percent_text(share, 1).replace("%", " %")
