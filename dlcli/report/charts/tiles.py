"""Small images side by side: their pixels, and the panel that holds them."""

from dataclasses import dataclass

import numpy as np

from dlcli.report.charts.chart import Axis, Color, Mark, Panel, Raster, Spans
from dlcli.report.charts.pixels import from_dark_to_bright

GAP = 0.12  # between tiles, whose width is 1
TITLE = 0.3  # above tiles
WIDTH = 610.0  # of all tiles, in units of the chart
_MARGIN = 0.02  # around all tiles
_MAX_SIDE = 160  # pixels of an image that a tile shows
_MANY_PIXELS = 32  # on a side: more is a photograph, whose pixels nobody counts
_HEAT, _HEAT_COVER = np.array([1.0, 0.55, 0.0]), 0.85  # orange, and how much of it covers a pixel
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


def tiles_panel(marks: list[Mark], width: float, height: float, room: float) -> tuple[Panel, float]:
    """Return a panel for tiles of width 1, and its height where it is `room` wide."""
    x = Axis(low=-_MARGIN, high=width + _MARGIN, ticks=())
    y = Axis(low=-TITLE, high=height + _MARGIN, ticks=(), is_flipped=True)
    tall = room * (height + _MARGIN + TITLE) / (width + 2 * _MARGIN)
    return Panel(marks, x, y, is_square=True, is_bare=True), tall


@dataclass(frozen=True)
class Shades:
    """How values of images become colours: those of several images alike."""

    low: float  # the darkest value
    high: float
    is_grey: bool  # rather than a colour scale, where there is one channel


def shades_of(images: np.ndarray) -> Shades:
    """Return the shades of images [images, …]: decoded ones, uint8, keep their own."""
    if images.dtype == np.uint8:
        return Shades(0.0, 255.0, is_grey=True)
    known = images[np.isfinite(images)]
    if not known.size:
        return Shades(0.0, 1.0, is_grey=False)
    return Shades(float(known.min()), float(known.max()), is_grey=False)


def colors_of(image: np.ndarray, shades: Shades) -> np.ndarray:
    """Return the colours of an image [channels, height, width], uint8 [height, width, 4].

    What is NaN is transparent. Other than 1 or 3 channels are drawn as their mean.
    """
    known = np.isfinite(image).all(axis=0)
    shares = (np.where(known, image, shades.low) - shades.low) / ((shades.high - shades.low) or 1.0)
    if len(image) == 3:
        colors = _bytes_of(np.moveaxis(shares, 0, -1))
    elif shades.is_grey:
        colors = _bytes_of(np.repeat(shares.mean(axis=0)[..., np.newaxis], 3, axis=-1))
    else:
        colors = from_dark_to_bright(shares.mean(axis=0))
    opaque = np.where(known, 255, 0).astype(np.uint8)[..., np.newaxis]
    return np.concatenate([colors, opaque], axis=-1)


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image in grey under a map [height, width] in orange, uint8 [height, width, 3].

    The map's highest value is the strongest orange; what is not above 0 has none.
    """
    grey = 0.75 * _brightness(image)[..., np.newaxis]
    high = float(heat.max())
    share = _HEAT_COVER * (heat / high).clip(min=0)[..., np.newaxis] if high > 0 else 0.0
    return _bytes_of(grey * (1 - share) + _HEAT * share)


def image_tile(pixels: np.ndarray, x: float, y: float, note: str = "") -> list[Mark]:
    """Return an image of width 1 in a frame, its upper left corner at x and y."""
    corners = (x, y, x + 1, y + height_of(pixels))
    return [tile_raster(pixels, corners, note), rectangle(*corners, "ink", 0.6, 0.5)]


def tile_raster(
    pixels: np.ndarray, corners: tuple[float, float, float, float], note: str = ""
) -> Raster:
    """Return pixels [height, width, …] over a rectangle, no more of them than a tile shows."""
    is_photo = min(pixels.shape[:2]) > _MANY_PIXELS
    return Raster(_shrunk(pixels), *corners, note, is_photo=is_photo)


def height_of(pixels: np.ndarray) -> float:
    """Return the height of pixels [height, width, …] of width 1."""
    return float(pixels.shape[0] / pixels.shape[1])


def rectangle(
    x0: float, y0: float, x1: float, y1: float, color: Color, width: float, opacity: float = 1.0
) -> Spans:
    """Return the outline of a rectangle."""
    ends = ([x0, x1, x1, x0], [y0, y0, y1, y1], [x1, x1, x0, x0], [y0, y1, y1, y0])
    return Spans(*ends, color, width, opacity)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """Return pixels with the mean of squares of them where they are more than a tile shows."""
    size = -(-max(pixels.shape[:2]) // _MAX_SIDE)
    if size == 1:
        return pixels
    height, width = (max(1, side // size) for side in pixels.shape[:2])
    squares = pixels[: height * size, : width * size].astype(np.float64)
    means = squares.reshape(height, size, width, size, -1).mean(axis=(1, 3))
    shrunk: np.ndarray = np.rint(means).astype(np.uint8)
    return shrunk


def _brightness(image: np.ndarray) -> np.ndarray:
    """Return how bright the pixels of an image are, from 0 to 1, [height, width]."""
    values = image.astype(np.float64)
    grey = np.tensordot(_LUMINANCE, values, 1) if len(image) == 3 else values.mean(axis=0)
    low, high = (0.0, 255.0) if image.dtype == np.uint8 else (grey.min(), grey.max())
    shares: np.ndarray = (grey - low) / ((high - low) or 1.0)
    return shares


def _bytes_of(shares: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.rint(255 * shares.clip(0.0, 1.0)).astype(np.uint8)
    return found
