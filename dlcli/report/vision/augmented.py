"""A sheet of augmented images."""

from dlcli.explaining.vision.augmented import AugmentedImages
from dlcli.report.charts.chart import Chart, Label, Mark
from dlcli.report.charts.tiles import (
    GAP,
    TITLE,
    WIDTH,
    colors_of,
    height_of,
    image_tile,
    shades_of,
    tiles_panel,
)
from dlcli.report.page import PageSection
from dlcli.report.picture import chart_picture


def augmented_section(found: AugmentedImages) -> PageSection:
    """Return some training images, each with what epochs make of it."""
    marks: list[Mark] = []
    shades = shades_of(found.plain)
    step = height_of(found.plain[0, 0]) + GAP
    for row, (plain, changed) in enumerate(zip(found.plain, found.changed, strict=True)):
        for place, image in enumerate([plain, *changed]):
            marks += image_tile(colors_of(image, shades), place * (1 + GAP), row * step)
    num_epochs = found.changed.shape[1]
    for place in range(num_epochs + 1):
        name = f"epoch {place}" if place else "image"
        marks.append(Label(place * (1 + GAP) + 0.5, -TITLE / 2, name, has_halo=False))
    across = (num_epochs + 1) * (1 + GAP) - GAP
    panel, height = tiles_panel(marks, across, len(found.plain) * step - GAP, WIDTH)
    text = (
        f"The first {len(found.plain)} training images, and what training sees of them in its "
        f"first {num_epochs} epochs, by training.augment: {', '.join(found.names)}."
    )
    picture = chart_picture("augmented", "Augmented images", text, Chart(((panel,),), height))
    sentence = "An augmented image should still be one that you would give its label."
    return PageSection("Augmented images", (sentence,), pictures=(picture,))
