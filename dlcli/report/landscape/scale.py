"""The colour scale of losses over a plane."""

from typing import Literal

import numpy as np

from dlcli.numbers import percent_text
from dlcli.report.charts.chart import Axis, Panel, Raster
from dlcli.report.charts.pixels import from_dark_to_bright

FLAT = 1e-3  # share of the highest loss: losses that differ by less are drawn as flat
_WIDE = 20.0  # ratio of losses above which the levels are spaced by a factor
_MIN_SHARE = 1e-8  # of the highest loss: lower losses share one colour
_FEW, _DEEP = 0.01, 4.0  # so does this share of points, where deeper than all others by this factor
_MAX_RATIO = 1e3  # to the median: higher losses share one colour
_NUM_LEVELS = 15
_PALE = 0.55  # share of white, behind several coloured paths
_MIN_POSITIVE = 1e-30
_PIXELS = 320  # of an image's side, at most
_LINE = 0.72  # how bright a line between bands is, beside its band


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


def band_pixels(losses: np.ndarray, levels: np.ndarray, *, is_pale: bool = False) -> np.ndarray:
    """Return an image [height, width, 4] from the top: a colour between each two levels.

    `losses` [rows, columns] are interpolated linearly, and a dark line is where a band ends; where
    they are not finite, nothing is drawn.
    """
    fine = _refined(_refined(losses).T).T[::-1]
    first, last = _ends(levels, losses)
    bands = np.clip(np.searchsorted(levels, fine, side="right"), first, last)
    colors = band_colors(levels, losses, is_pale=is_pale)
    pixels = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], axis=1)[
        bands - first
    ]
    is_line = np.zeros(bands.shape, bool)
    is_line[:-1] |= bands[:-1] != bands[1:]
    is_line[:, :-1] |= bands[:, :-1] != bands[:, 1:]
    pixels[is_line, :3] = _LINE * pixels[is_line, :3]
    pixels[np.isnan(fine)] = 0
    found: np.ndarray = pixels
    return found


def band_colors(levels: np.ndarray, losses: np.ndarray, *, is_pale: bool = False) -> np.ndarray:
    """Return a colour for each band [bands, 3], uint8, evenly spaced from dark to bright."""
    first, last = _ends(levels, losses)
    colors = from_dark_to_bright(np.linspace(0.0, 1.0, last - first + 1))
    return np.rint(255 * _PALE + (1 - _PALE) * colors).astype(np.uint8) if is_pale else colors


def color_bar(losses: np.ndarray, levels: np.ndarray, *, is_pale: bool = False) -> Panel:
    """Return a narrow panel that says which losses a band stands for."""
    first, last = _ends(levels, losses)
    colors = band_colors(levels, losses, is_pale=is_pale)
    step = -(-len(levels) // 8)
    ticks = [(index + 1.0, loss_text(levels[index])) for index in range(0, len(levels), step)]
    ends = float(first), last + 1.0
    return Panel(
        (Raster(colors[::-1, np.newaxis], 0.0, ends[0], 1.0, ends[1]),),
        Axis(low=0.0, high=1.0, is_hidden=True, ticks=()),
        Axis("training loss", *ends, ticks=ticks, has_grid=False),
    )


def _ends(levels: np.ndarray, losses: np.ndarray) -> tuple[int, int]:
    """Return the first and the last band that is drawn: 0 lies below all levels."""
    extend = extend_of(levels, losses)
    first = 0 if extend in ("min", "both") else 1
    return first, len(levels) if extend in ("max", "both") else len(levels) - 1


def _refined(values: np.ndarray) -> np.ndarray:
    """Interpolate rows linearly, so that the image is fine."""
    last = len(values) - 1
    places = np.linspace(0.0, last, last * max(1, _PIXELS // last) + 1)
    low = np.minimum(places.astype(np.int64), last - 1)
    share = (places - low)[:, np.newaxis]
    refined: np.ndarray = values[low] * (1 - share) + values[low + 1] * share
    return refined


def loss_text(loss: float) -> str:
    """Write a loss with four significant digits."""
    if 1000 <= abs(loss) < 1e7:
        return f"{float(f'{loss:.4g}'):,.0f}"
    return f"{loss:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def percent(share: float) -> str:
    """Write a share."""
    return percent_text(share, 1).replace("%", " %")
