"""The rows with the largest losses, as a section of a page."""

from collections.abc import Sequence

import numpy as np

from dlcli.explaining.quality.largest_errors import ErrorRow, LargestErrors
from dlcli.numbers import number_text, percent_text
from dlcli.report.charts.chart import Axis, Chart, Panel, Raster
from dlcli.report.charts.pixels import from_dark_to_bright
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.table import TextTable
from dlcli.report.text import cell_text, labels, metric_text, one_label

_TILE = 112.0  # width of an image, in units of the chart
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20
_MAX_LINE = 124.0  # letters of a table's line that a page of 1,280 pixels holds
_SPACE = 2.6  # letters between columns


def errors_section(errors: LargestErrors) -> PageSection:
    """Return the rows with the largest losses, with as many cells as there is room for."""
    columns = labels(errors.columns, _MAX_NAME_LENGTH)
    cells = [[cell_text(cell) for cell in row.cells] for row in errors.rows]
    is_class = bool(errors.rows) and isinstance(errors.rows[0].truth, str)
    titles = (
        ("true", "predicted", "probability", "of the true class")
        if is_class
        else ("true", "predicted", "true − predicted")
    )
    fixed = [(row.position, *_prediction(row), metric_text(row.loss, 3)) for row in errors.rows]
    room = _MAX_LINE - sum(_widths(("row", *titles, "loss"), fixed))
    num_shown = max(1, _num_fitting(_widths(columns, cells), room))
    note = f"Rows of {errors.source}, largest loss first."
    if num_shown < len(columns):
        note += f" {len(columns) - num_shown} of {len(columns)} columns are not shown."
    rows = tuple((*first, *shown[:num_shown]) for first, shown in zip(fixed, cells, strict=True))
    picture = gallery(errors)
    sentences: tuple[str, ...] = ()
    if is_class:
        num_wrong = sum(row.truth != row.prediction for row in errors.rows)
        are = "is" if num_wrong == 1 else "are"
        sentences = (f"{num_wrong} of these {len(rows)} rows {are} misclassified.",)
    return PageSection(
        "Largest errors",
        sentences,
        (TextTable(("row", *titles, "loss", *columns[:num_shown]), rows, note),),
        (picture,) if picture else (),
    )


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Return the letters that each column takes, with the space beside it."""
    columns = zip(titles, *rows, strict=True)
    return [_SPACE + max(map(len, cells)) for cells in columns]


def _num_fitting(widths: Sequence[float], room: float) -> int:
    """Return how many of the first columns fit."""
    ends = np.cumsum(widths)
    return int(np.searchsorted(ends, room, side="right"))


def _prediction(row: ErrorRow) -> tuple[str, ...]:
    if isinstance(row.truth, str):
        names = (cell_text(row.truth), cell_text(str(row.prediction)))
        return (*names, metric_text(row.probability, 3), metric_text(row.true_probability, 3))
    prediction = float(row.prediction)
    return (
        number_text(row.truth, 6),
        number_text(prediction, 6),
        metric_text(row.truth - prediction, 3),
    )


def gallery(errors: LargestErrors) -> Picture | None:
    """Draw the rows with the largest errors, where rows are images."""
    images = errors.images
    if images is None:
        return None
    columns = min(5, len(images))
    height, width = images.shape[1:3]
    tile = _TILE * height / width
    blank = Axis(low=0.0, high=1.0, ticks=(), has_grid=False)
    panels = [
        Panel(
            (Raster(_pixels(image), 0.0, 0.0, 1.0, 1.0),),
            *(blank, blank, row.position),
            captions=_captions(row),
            is_bare=True,
        )
        for image, row in zip(images, errors.rows, strict=False)
    ]
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    text = (
        f"The {len(images)} images with the largest losses, largest first: the true class with "
        "its predicted probability, and the predicted class where it differs."
    )
    chart = Chart(rows, height=tile * len(rows), widths=(1.0,) * 5)
    return chart_picture("largest-errors", "Largest errors", text, chart)


def _pixels(image: np.ndarray) -> np.ndarray:
    """Return the colours [height, width, 3] of an image, its lowest value dark."""
    shares = (image - image.min()) / (np.ptp(image) or 1.0)
    if image.shape[-1] == 3:
        colors: np.ndarray = np.rint(255 * shares).astype(np.uint8)
        return colors
    return from_dark_to_bright(shares[:, :, 0])


def _captions(row: ErrorRow) -> tuple[str, str]:
    if isinstance(row.truth, str):
        share = percent_text(row.true_probability or 0.0)
        wrong = f"not {one_label(str(row.prediction), 12)}" if row.prediction != row.truth else ""
        return f"{one_label(row.truth, 12)} ({share})", wrong
    return f"{row.truth:.3g}", f"not {row.prediction:.3g}"
