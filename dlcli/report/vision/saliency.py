"""Where a network looks: Grad-CAM and occlusion side by side."""

from collections.abc import Iterator

import numpy as np

from dlcli.explaining.vision.saliency import MAX_CLASSES, Saliency, SeenImage
from dlcli.report.charts.chart import Chart, Label, Mark
from dlcli.report.charts.tiles import (
    GAP,
    TITLE,
    WIDTH,
    colors_of,
    heated,
    height_of,
    image_tile,
    shades_of,
    tiles_panel,
)
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import describe_rows, one_label, sureness_text

_STRIPS = 2  # images side by side, each with its maps
_TILES = ("image", "Grad-CAM", "occlusion")
_BESIDE = 0.3  # between strips
_MAX_NAME = 9  # letters of a class
_LOW_AGREEMENT = 0.2


def saliency_section(found: Saliency) -> PageSection:
    """Return where the network looks in some images, and whether both methods say the same."""
    agreements = np.array([image.agreement for image in found.images])
    few = int((agreements < _LOW_AGREEMENT).sum())
    of_score = "log-odds of the predicted class" if found.num_classes else "predicted number"
    text = (
        f"Both maps show which places raise the {of_score}: Grad-CAM from the gradients of a "
        "layer's channels, occlusion by covering one place after the other. Their correlation over "
        f"the pixels of an image is {np.median(agreements):.2f} (median)"
    )
    if few:
        text += (
            f"; in {few} of {len(agreements)} images it is below {_LOW_AGREEMENT:g}, where neither "
            "map is to be trusted by itself"
        )
    return PageSection("Grad-CAM and occlusion", (f"{text}.",), pictures=(saliency_picture(found),))


def saliency_picture(found: Saliency) -> Picture:
    """Draw each image, and both maps over it in orange."""
    tall = max(height_of(image.grad_cam) for image in found.images)
    step, down = tall + TITLE, -(-len(found.images) // _STRIPS)
    wide = len(_TILES) * (1 + GAP) - GAP
    marks: list[Mark] = []
    strips = min(_STRIPS, len(found.images))
    for index, image in enumerate(found.images):
        x = index % strips * (wide + _BESIDE)
        y = TITLE + index // strips * step
        marks.append(Label(x + wide / 2, y - TITLE / 2, _label(image), has_halo=False))
        for place, pixels in enumerate(_pixels(image)):
            marks += image_tile(pixels, x + place * (1 + GAP), y, image.position)
    for strip in range(strips):
        for place, name in enumerate(_TILES):
            x = strip * (wide + _BESIDE) + place * (1 + GAP) + 0.5
            marks.append(Label(x, -TITLE / 2, name, has_halo=False))
    width = strips * (wide + _BESIDE) - _BESIDE
    room = WIDTH * width / (_STRIPS * (wide + _BESIDE) - _BESIDE)
    panel, height = tiles_panel(marks, width, TITLE + down * step - TITLE, room)
    title = "Where the network looks"
    return chart_picture("saliency", title, _caption(found), Chart(((panel,),), height))


def _pixels(image: SeenImage) -> Iterator[np.ndarray]:
    yield colors_of(image.image, shades_of(image.image))
    yield heated(image.image, image.grad_cam)
    yield heated(image.image, image.occlusion)


def _label(image: SeenImage) -> str:
    if not isinstance(image.truth, str):
        return f"{image.position}: {image.truth:.3g}, predicted {float(image.prediction):.3g}"
    sureness = sureness_text(image.probability or 0.0)
    truth, prediction = (
        one_label(image.truth, _MAX_NAME),
        one_label(str(image.prediction), _MAX_NAME),
    )
    if image.truth == image.prediction:
        return f"{image.position}: {truth} ({sureness})"
    return f"{image.position}: {truth}, predicted {prediction} ({sureness})"


def _caption(found: Saliency) -> str:
    rows = describe_rows(found.sample)
    if found.num_classes:
        which = (
            f"Of {rows}: for each class, the images that it is surest of and rightly so, and the "
            "one of that class that it gets most wrong"
        )
        if found.num_classes > MAX_CLASSES:
            which += f", for the {MAX_CLASSES} of {found.num_classes} classes with the most errors"
    else:
        which = f"Of {rows}: those with the smallest residuals, then those with the largest"
    height, width = found.layer_size
    text = (
        f"{which}. Orange is what raises the score of the prediction; each map is scaled to its "
        f"own maximum. Grad-CAM: of {found.layer}, with {height} × {width} positions. Occlusion: a "
        f"square of {found.side} × {found.side} pixels in the images' mean colour, moved by "
        f"{found.step}; a pixel has the mean of the squares that cover it."
    )
    if found.num_left_out:
        text += f" {found.num_left_out} more images would have taken too long."
    return text
