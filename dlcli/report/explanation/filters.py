"""Filters of the first layer, and the images that activate them most."""

import math

import numpy as np

from dlcli.explaining.reasons.filters import Box, Filters, StrongestImages
from dlcli.report.charts.chart import (
    NUM_DASHES,
    Axis,
    Chart,
    Label,
    Line,
    Mark,
    Panel,
    Rule,
    line_style,
)
from dlcli.report.charts.parts import color_scale
from dlcli.report.charts.pixels import around_middle
from dlcli.report.charts.tiles import (
    GAP,
    TITLE,
    WIDTH,
    Shades,
    colors_of,
    height_of,
    image_tile,
    rectangle,
    shades_of,
    tiles_panel,
)
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import describe_rows, value_text

_TILES_A_ROW = 8
_MAX_CHANNELS = 4
_MAX_POINTS = 12  # of a line whose points are marked
_STRIPS = 2  # filters side by side, each with its images
_WIDTH_BESIDE_SCALE = 500.0  # of all tiles, in units of the chart
_SIGNAL_HEIGHT = 90.0  # of a filter over a signal


def filters_section(found: Filters) -> PageSection:
    """Return the filters, and the images that activate them most."""
    pictures = [filters_picture(found)]
    if found.strongest:
        pictures.append(strongest_images_picture(found))
    sentences = [_how_drawn(found)]
    if found.strongest:
        after = (
            f"after {found.activation}" if found.activation else "without an activation function"
        )
        sentences.append(f"Activations are taken {after} ({found.layer}).")
    return PageSection("First-layer filters", tuple(sentences), pictures=tuple(pictures))


def _how_drawn(found: Filters) -> str:
    if found.weights.ndim != 4:
        return "Each filter is drawn as the short signal that it responds to, wherever it occurs."
    if _has_colors(found):
        return (
            "Each filter is drawn as a small image in the colours that it responds to: a weight "
            "for red, green and blue at each pixel, with 0 in the middle grey."
        )
    return (
        "Each filter is drawn as a small image of its weights: orange is negative and responds to "
        "low values, purple is positive and responds to high values."
    )


def filters_picture(found: Filters) -> Picture:
    """Draw the filters on one scale around 0; filters over a signal as lines."""
    weights = found.weights[:, :_MAX_CHANNELS]
    is_signal = weights.ndim == 3
    across = min(_TILES_A_ROW, len(weights))
    down = -(-len(weights) // across)
    if is_signal:
        chart = Chart(_signal_panels(weights, _reach(found), across), height=_SIGNAL_HEIGHT * down)
    else:
        step, marks = height_of(_filter_pixels(weights[0], 1.0)) + TITLE, list[Mark]()
        for index, filter_weights in enumerate(weights):
            x, y = index % across * (1 + GAP), index // across * step
            marks += image_tile(_filter_pixels(filter_weights, _reach(found)), x, y)
            marks.append(Label(x + 0.5, y - TITLE / 2, str(index), has_halo=False))
        has_colors = _has_colors(found)
        room = WIDTH if has_colors else _WIDTH_BESIDE_SCALE
        panel, height = tiles_panel(marks, across * (1 + GAP) - GAP, down * step - TITLE, room)
        scale = color_scale(around_middle, -_reach(found), _reach(found), "weight")
        beside = () if has_colors else (scale,)
        chart = Chart(((panel, *beside),), height, widths=(24.0, 1.0)[: 1 + len(beside)])
    text = (
        f"Weights of {len(weights)} of {found.num_filters:,} {_noun(found)}s of the first layer, "
        f"numbered from 0; they range from {value_text(float(weights.min()))} to "
        f"{value_text(float(weights.max()))}."
    )
    channels = found.weights.shape[1]
    if channels > 1 and not _has_colors(found):
        how = "as lines (solid, dashed and so on)" if is_signal else "side by side"
        text += f" Channels are drawn {how}"
        text += f", the first {_MAX_CHANNELS} of {channels}." if channels > _MAX_CHANNELS else "."
    return chart_picture("filters", "First-layer filters", text, chart)


def strongest_images_picture(found: Filters) -> Picture:
    """Draw the images that activate each of the first filters most, with the receptive field."""
    assert found.sample is not None
    most = max((len(entry.images) for entry in found.strongest), default=0)
    strips = min(_STRIPS, len(found.strongest))
    down = -(-len(found.strongest) // strips)
    images = [entry.images for entry in found.strongest if len(entry.images)]
    step = TITLE + max(
        height_of(_filter_pixels(found.weights[0][:_MAX_CHANNELS], 1.0)),
        *(height_of(image[0, 0]) for image in images),
        0.0,
    )
    width = strips * (most + 1) * (1 + GAP) + (strips - 1) * TITLE - GAP
    # Missing pixels, for which the network gets an imputed number, are left blank.
    shades = shades_of(np.concatenate(images)) if images else None
    marks = list[Mark]()
    for index, entry in enumerate(found.strongest):
        x = index // down * ((most + 1) * (1 + GAP) + TITLE)
        y = index % down * step
        name = f"{_noun(found)} {entry.filter}"
        marks.append(Label(x + 0.5, y - TITLE / 2, name, has_halo=False))
        weights = found.weights[entry.filter][:_MAX_CHANNELS]
        marks += image_tile(_filter_pixels(weights, _reach(found)), x, y)
        for place, (image, box) in enumerate(zip(entry.images, entry.boxes, strict=True), start=1):
            left = x + place * (1 + GAP)
            assert shades is not None, "there are images"
            marks += image_tile(colors_of(image, shades), left, y)
            if not found.are_units:
                marks += _field_marks(box, image.shape[1:], left, y)
    panel, height = tiles_panel(marks, width, down * step - TITLE, WIDTH)
    title = "Images that activate the first layer most"
    return chart_picture("excited", title, _strongest_caption(found), Chart(((panel,),), height))


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
    if found.weights.shape[1] > 1 and not _has_colors(found):
        text += " Images are drawn as the mean over their channels."
    return text


def _describe_strongest(entry: StrongestImages) -> str:
    return f"{entry.filter}: {entry.positions[0]} ({value_text(entry.activations[0])})"


def _noun(found: Filters) -> str:
    return "unit" if found.are_units else "filter"


def _reach(found: Filters) -> float:
    """Return the largest weight, by its size, of those that are drawn."""
    return float(np.abs(found.weights[:, :_MAX_CHANNELS]).max()) or 1.0


def _signal_panels(weights: np.ndarray, reach: float, across: int) -> list[list[Panel]]:
    """Return a panel for each filter over a signal, [filters, channels, length], in rows."""
    panels = []
    for index, channels in enumerate(weights):
        marks: list[Mark] = [Rule(0.0, "y", width=0.6)]
        for channel, line in enumerate(channels):
            color, dashes = line_style(channel)[0], channel % NUM_DASHES
            is_marked = len(line) < _MAX_POINTS
            x = np.arange(len(line))
            name = f"channel {channel}" if len(channels) > 1 else ""
            marks.append(Line(x, line, name, color, dashes, is_marked=is_marked))
        values = Axis(
            "" if index % across else "weight",
            -1.1 * reach,
            1.1 * reach,
            max_ticks=3,
            is_hidden=index % across > 0,
        )
        panels.append(Panel(marks, Axis(ticks=(), is_hidden=True), values, title=str(index)))
    return [panels[start : start + across] for start in range(0, len(panels), across)]


def _has_colors(found: Filters) -> bool:
    """Say whether filters are over red, green and blue."""
    return found.weights.ndim == 4 and found.weights.shape[1] == 3


def _filter_pixels(weights: np.ndarray, reach: float) -> np.ndarray:
    """Return a filter over an image, [channels, height, width], as pixels, uint8 [..., 4]."""
    if len(weights) == 3:
        return colors_of(weights, Shades(-reach, reach, is_grey=False))
    shares = (_beside(weights) / reach + 1.0) / 2.0
    known = np.isfinite(shares)
    opaque = np.where(known, 255, 0).astype(np.uint8)[..., np.newaxis]
    return np.concatenate([around_middle(np.where(known, shares, 0.0)), opaque], axis=-1)


def _beside(weights: np.ndarray) -> np.ndarray:
    """Return channels [channels, height, width] as one image, with gaps between them."""
    gap = np.full((weights.shape[1], math.ceil(weights.shape[2] / 10)), np.nan)
    tiles = [tile for channel in weights for tile in (channel, gap)]
    return np.concatenate(tiles[:-1], axis=1)


def _field_marks(box: Box, shape: tuple[int, ...], x: float, y: float) -> list[Mark]:
    """Return a frame that is seen on dark and light pixels, within the image."""
    top, left, height, width = box
    bottom, right = min(top + height, shape[0]), min(left + width, shape[1])
    top, left, pixel = max(top, 0), max(left, 0), 1.0 / shape[1]
    ends = (x + left * pixel, y + top * pixel, x + right * pixel, y + bottom * pixel)
    return [rectangle(*ends, "black", 3.0), rectangle(*ends, "white", 1.4)]
