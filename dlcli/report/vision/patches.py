"""What each layer responds to: the patches that excite its channels most."""

from dlcli.explaining.vision.patches import LayerPatches, StrongestPatches
from dlcli.report.charts.chart import Chart, Label, Mark
from dlcli.report.charts.tiles import (
    GAP,
    TITLE,
    WIDTH,
    Shades,
    colors_of,
    height_of,
    image_tile,
    shades_of,
    tiles_panel,
)
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import describe_rows, listed, value_text

_TILES_ACROSS = 8  # tiles that fill the width


def patches_section(found: StrongestPatches) -> PageSection:
    """Return a picture for each layer."""
    shades = shades_of(found.images)
    text = (
        "The patches of images with the highest activation of a channel, each of another image and "
        "the strongest at the top; what is blank is beyond an image. First layers respond to edges "
        "and colours, later ones to parts, the last ones to what tells the classes apart. Shown "
        "are the channels whose strongest activations "
        f"stand out most, among {describe_rows(found.sample)}."
    )
    if found.num_layers > len(found.layers):
        text += f" {len(found.layers)} of {found.num_layers} layers are shown."
    silent = [layer.layer for layer in found.layers if not layer.channels]
    if silent:
        text += f" No image stands out for {listed(silent)}."
    pictures = [
        _picture(layer, number, shades)
        for number, layer in enumerate(found.layers, start=1)
        if layer.channels
    ]
    return PageSection("Strongest patches by layer", (text,), pictures=tuple(pictures))


def _picture(layer: LayerPatches, number: int, shades: Shades) -> Picture:
    marks: list[Mark] = []
    step = height_of(layer.channels[0].patches[0][0]) + GAP
    for place, channel in enumerate(layer.channels):
        x = place * (1 + GAP)
        marks.append(Label(x + 0.5, -TITLE / 2, str(channel.channel), has_halo=False))
        for rank, patch in enumerate(channel.patches):
            note = f"{channel.positions[rank]}: {value_text(channel.activations[rank])}"
            marks += image_tile(colors_of(patch, shades), x, rank * step, note)
    most = max(len(channel.patches) for channel in layer.channels)
    across = len(layer.channels) * (1 + GAP) - GAP
    room = WIDTH * across / (_TILES_ACROSS * (1 + GAP) - GAP)
    panel, height = tiles_panel(marks, across, most * step - GAP, room)
    if layer.field is None:
        seen = "whole images, as a position sees all of them or the layer doesn't say what it sees"
    else:
        seen = f"patches of {layer.field[0]} × {layer.field[1]} pixels, all that a position sees"
    text = (
        f"{layer.layer}: {len(layer.channels)} of {layer.num_channels} channels, numbered from 0; "
        f"{seen}."
    )
    name = f"patches-{number}"
    return chart_picture(
        name, f"Strongest patches of {layer.layer}", text, Chart(((panel,),), height)
    )
