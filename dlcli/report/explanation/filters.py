"""Filters of the first layer, and the images that activate them most."""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from dlcli.explaining.reasons.filters import Box, Filters, StrongestImages
from dlcli.report.charts.style import DASHES, INK
from dlcli.report.drawing import draw, line_style
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture
from dlcli.report.text import describe_rows, value_text

_TILES_A_ROW = 8
_MAX_CHANNELS = 4
_STRIPS = 2  # filters side by side, each with its images
_GAP = 0.12  # between tiles, whose width is 1
_TITLE = 0.3  # above tiles
_SHADES = 32  # of a colour scale: more can't be seen, and take more bytes


def _after(activation: str | None) -> str:
    return f"after {activation}" if activation else "of the layer itself, without a non-linearity"


def filters_section(found: Filters) -> PageSection:
    """Return the filters, and the images that activate them most."""
    pictures = [filters_picture(found)]
    if found.strongest:
        pictures.append(strongest_images_picture(found))
    sentences = [
        "Each filter is drawn as a small image of its weights: orange is negative and responds to "
        "low values, purple is positive and responds to high values."
        if found.weights.ndim == 4
        else "Each filter is drawn as the short signal that it responds to, wherever it occurs."
    ]
    if found.strongest:
        after = (
            f"after {found.activation}" if found.activation else "without an activation function"
        )
        sentences.append(f"Activations are taken {after} ({found.layer}).")
    return PageSection("First-layer filters", tuple(sentences), pictures=tuple(pictures))


def filters_picture(found: Filters) -> Picture:
    """Draw the filters on one scale around 0; filters over a signal as lines."""
    weights = found.weights[:, :_MAX_CHANNELS]
    is_signal = weights.ndim == 3
    across = min(_TILES_A_ROW, len(weights))
    down = -(-len(weights) // across)
    tall = 1.0 if is_signal else 0.82 * (_height(_beside(weights[0])) + _TITLE)

    def fill(drawing: Figure) -> None:
        if is_signal:
            panels = drawing.subplots(down, across, squeeze=False, sharey=True).flatten()
            for index, axes in enumerate(panels):
                axes.set_visible(index < len(weights))
                if index < len(weights):
                    _draw_lines(axes, weights[index], _reach(found), index)
            return
        axes = _empty(drawing)
        step = _height(_beside(weights[0])) + _TITLE
        for index, filter_weights in enumerate(weights):
            x, y = index % across * (1 + _GAP), index // across * step
            image = _draw_filter(axes, filter_weights, x, y, _reach(found))
            axes.text(x, y - 0.05, str(index), fontsize="small")
        _frame(axes, across * (1 + _GAP) - _GAP, down * step - _TITLE)
        drawing.colorbar(image, ax=axes, shrink=0.8).set_label("weight")

    text = (
        f"Weights of {len(weights)} of {found.num_filters:,} {_noun(found)}s of the first layer, "
        f"numbered from 0; they range from {value_text(float(weights.min()))} to "
        f"{value_text(float(weights.max()))}."
    )
    channels = found.weights.shape[1]
    if channels > 1:
        how = "as lines (solid, dashed and so on)" if is_signal else "side by side"
        text += f" Channels are drawn {how}"
        text += f", the first {_MAX_CHANNELS} of {channels}." if channels > _MAX_CHANNELS else "."
    size = (7.5, 0.4 + tall * down)
    return draw("filters", "First-layer filters", text, fill, size=size)


def strongest_images_picture(found: Filters) -> Picture:
    """Draw the images that activate each of the first filters most, with the receptive field."""
    assert found.sample is not None
    most = max((len(entry.images) for entry in found.strongest), default=0)
    strips = min(_STRIPS, len(found.strongest))
    down = -(-len(found.strongest) // strips)
    images = [entry.images for entry in found.strongest if len(entry.images)]
    step = _TITLE + max(
        _height(_beside(found.weights[0][:_MAX_CHANNELS])),
        *(_height(image[0, 0]) for image in images),
        0.0,
    )
    width = strips * (most + 1) * (1 + _GAP) + (strips - 1) * _TITLE - _GAP
    # Missing pixels, for which the network gets an imputed number, are left blank.
    low = min(
        (float(np.nanmin(image)) for image in images if not np.isnan(image).all()), default=0.0
    )
    high = max(
        (float(np.nanmax(image)) for image in images if not np.isnan(image).all()), default=1.0
    )

    def fill(drawing: Figure) -> None:
        axes = _empty(drawing)
        for index, entry in enumerate(found.strongest):
            x = index // down * ((most + 1) * (1 + _GAP) + _TITLE)
            y = index % down * step
            axes.text(x, y - 0.05, f"{_noun(found)} {entry.filter}", fontsize="small")
            weights = found.weights[entry.filter][:_MAX_CHANNELS]
            _draw_filter(axes, weights, x, y, _reach(found))
            for place, (image, box) in enumerate(
                zip(entry.images, entry.boxes, strict=True), start=1
            ):
                left = x + place * (1 + _GAP)
                pixels = np.mean(image, axis=0)
                _show(axes, pixels, left, y, colors="cividis", span=(low, high))
                if not found.are_units:
                    _mark(axes, box, image.shape[1:], left, y)
        _frame(axes, width, down * step - _TITLE)

    return draw(
        "excited",
        "Images that activate the first layer most",
        _strongest_caption(found),
        fill,
        size=(7.5, 0.2 + 7.3 * (down * step) / width),
    )


def _strongest_caption(found: Filters) -> str:
    assert found.sample is not None
    what = _noun(found)
    silent = [str(entry.filter) for entry in found.strongest if not len(entry.images)]
    text = (
        f"For each of the first {len(found.strongest)} {what}s, the images with the highest "
        f"activation among {describe_rows(found.sample)}, from left to right"
        + ("." if found.are_units else "; a frame marks where the activation is highest.")
    )
    listed = [_describe_strongest(entry) for entry in found.strongest if entry.positions]
    if listed:
        text += f" The highest of each: {'; '.join(listed)}."
    if silent:
        text += f" No row activates {what} {', '.join(silent)}."
    if found.weights.shape[1] > 1:
        text += " Images are drawn as the mean over their channels."
    return text


def _describe_strongest(entry: StrongestImages) -> str:
    return f"{entry.filter}: {entry.positions[0]} ({value_text(entry.activations[0])})"


def _noun(found: Filters) -> str:
    return "unit" if found.are_units else "filter"


def _reach(found: Filters) -> float:
    """Return the largest weight, by its size, of those that are drawn."""
    return float(np.abs(found.weights[:, :_MAX_CHANNELS]).max()) or 1.0


def _draw_lines(axes: Axes, weights: np.ndarray, reach: float, index: int) -> None:
    """Draw a filter over a signal, [channels, length]."""
    axes.set_title(str(index), fontsize="small", pad=2.0)
    axes.axhline(0.0, color=INK, linewidth=0.6)
    for channel, line in enumerate(weights):
        style = {**line_style(channel), "linestyle": DASHES[channel % len(DASHES)]}
        axes.plot(line, marker="." if len(line) < 12 else "", linewidth=1.2, **style)
    axes.set_ylim(-1.1 * reach, 1.1 * reach)
    axes.set_xticks([])


def _empty(drawing: Figure) -> Axes:
    """Return axes for tiles: laying out an axes for each would take seconds."""
    axes = drawing.add_subplot()
    axes.set_axis_off()
    return axes


def _frame(axes: Axes, width: float, height: float) -> None:
    axes.set_xlim(-0.02, width + 0.02)
    axes.set_ylim(height + 0.02, -_TITLE)
    axes.set_aspect("equal")


def _draw_filter(axes: Axes, weights: np.ndarray, x: float, y: float, reach: float) -> AxesImage:
    """Draw a filter over an image, [channels, height, width]."""
    return _show(axes, _beside(weights), x, y, colors="PuOr", span=(-reach, reach))


def _show(
    axes: Axes,
    pixels: np.ndarray,
    x: float,
    y: float,
    *,
    colors: str,
    span: tuple[float, float],
) -> AxesImage:
    """Draw an image of width 1, its upper left corner at x and y."""
    tall = _height(pixels)
    axes.add_patch(
        Rectangle((x, y), 1.0, tall, fill=False, edgecolor=INK, linewidth=0.6, alpha=0.5)
    )
    return axes.imshow(
        pixels,
        extent=(x, x + 1, y + tall, y),
        interpolation="nearest",
        cmap=colormaps[colors].resampled(_SHADES),
        vmin=span[0],
        vmax=span[1],
    )


def _height(pixels: np.ndarray) -> float:
    return float(pixels.shape[0] / pixels.shape[1])


def _beside(weights: np.ndarray) -> np.ndarray:
    """Return channels [channels, height, width] as one image, with gaps between them."""
    gap = np.full((weights.shape[1], math.ceil(weights.shape[2] / 10)), np.nan)
    tiles = [tile for channel in weights for tile in (channel, gap)]
    return np.concatenate(tiles[:-1], axis=1)


def _mark(axes: Axes, box: Box, shape: tuple[int, ...], x: float, y: float) -> None:
    """Draw a frame that is seen on dark and light pixels, within the image."""
    top, left, height, width = box
    bottom, right = min(top + height, shape[0]), min(left + width, shape[1])
    top, left = max(top, 0), max(left, 0)
    pixel = 1.0 / shape[1]
    for color, line in (("black", 2.6), ("white", 1.2)):
        axes.add_patch(
            Rectangle(
                (x + left * pixel, y + top * pixel),
                (right - left) * pixel,
                (bottom - top) * pixel,
                fill=False,
                edgecolor=color,
                linewidth=line,
            )
        )
