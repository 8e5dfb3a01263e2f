"""The rows with the largest losses, as a section of a page."""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from dlcli.explaining.quality.largest_errors import JudgedRow, LargestErrors
from dlcli.numbers import number_text
from dlcli.report.charts.chart import Axis, Chart, Panel
from dlcli.report.charts.tiles import colors_of, shades_of, tile_raster
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.table import TextTable
from dlcli.report.text import cell_text, labels, metric_text, one_label, sureness_text

_ACROSS, _TILE = 5, 112.0  # images in a row, and the width of each, in units of the chart
_MAX_FILE = 12  # letters of a file's name above its image
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20
_MAX_LINE = 124.0  # letters of a table's line that a page of 1,280 pixels holds
_SPACE = 2.6  # letters between columns


def errors_section(errors: LargestErrors) -> PageSection:
    """Return the rows with the largest losses, with as many cells as there is room for."""
    columns = labels(errors.columns, _MAX_NAME_LENGTH)
    cells = [[cell_text(cell) for cell in row.cells] for row in errors.rows]
    is_class = bool(errors.rows) and isinstance(errors.rows[0].truth, str)
    has_labels = is_class and errors.rows[0].probability is None
    titles: tuple[str, ...] = ("true", "predicted")
    if not has_labels:
        of_classes = ("probability", "of the true class")
        titles += of_classes if is_class else ("true − predicted",)
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


def _prediction(row: JudgedRow) -> tuple[str, ...]:
    if isinstance(row.truth, str):
        names = (cell_text(row.truth), cell_text(str(row.prediction)))
        if row.probability is None:
            return names
        return (*names, metric_text(row.probability, 3), metric_text(row.true_probability, 3))
    prediction = float(row.prediction)
    return (
        number_text(row.truth, 6),
        number_text(prediction, 6),
        metric_text(row.truth - prediction, 3),
    )


def gallery(errors: LargestErrors) -> Picture | None:
    """Draw the rows with the largest errors, where rows are images."""
    if errors.images is None:
        return None
    text = (
        f"The {len(errors.images)} images with the largest losses, largest first: the true class "
        "with its predicted probability, and the predicted class where it differs."
    )
    if errors.rows and not isinstance(errors.rows[0].truth, str):
        text = (
            f"The {len(errors.images)} images with the largest losses, largest first: the true and "
            "the predicted number."
        )
    return chart_picture(
        "largest-errors", "Largest errors", text, images_chart(errors.images, errors.rows)
    )


def images_chart(images: np.ndarray, rows: Sequence[JudgedRow]) -> Chart:
    """Draw images [images, channels, height, width], each with its row's truth and prediction."""
    height, width = images.shape[2:]
    blank = Axis(low=0.0, high=1.0, ticks=(), has_grid=False)
    panels = []
    for image, row in zip(images, rows, strict=True):
        pixels = colors_of(image, shades_of(image))
        title = row.position if row.file is None else _file_label(row.file)
        note = f"{row.position}{'' if row.file is None else f': {row.file}'}"
        marks = (tile_raster(pixels, (0.0, 0.0, 1.0, 1.0), note),)
        panels.append(Panel(marks, blank, blank, title, captions=_captions(row), is_bare=True))
    lines = [panels[start : start + _ACROSS] for start in range(0, len(panels), _ACROSS)]
    tall = _TILE * height / width
    return Chart(lines, height=tall * len(lines), widths=(1.0,) * _ACROSS)


def _file_label(file: str) -> str:
    """Return the name of a file and of its folder, its end where there is little room."""
    name = one_label("/".join(PurePath(file).with_suffix("").parts[-2:]), len(file))
    return name if len(name) <= _MAX_FILE else f"…{name[1 - _MAX_FILE :]}"


def _captions(row: JudgedRow) -> tuple[str, ...]:
    if isinstance(row.truth, str):
        share = (
            "" if row.probability is None else f" ({sureness_text(row.true_probability or 0.0)})"
        )
        wrong = (
            (f"not {one_label(str(row.prediction), 12)}",) if row.prediction != row.truth else ()
        )
        return f"{one_label(row.truth, 12)}{share}", *wrong
    return f"{row.truth:.3g}", f"not {row.prediction:.3g}"
