"""The rows with the largest losses, as a section of a page."""

import numpy as np
from matplotlib.figure import Figure

from dlcli.explaining.quality.largest_errors import ErrorRow, LargestErrors
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, draw
from dlcli.report.table import TextTable
from dlcli.report.text import cell_text, labels, metric_text, number_text, one_label

_MAX_VECTORS = 1_000  # pixels drawn one by one; more become an image
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20
_MAX_ROW_LENGTH = 70  # characters of a row's cells


def errors_section(errors: LargestErrors) -> PageSection:
    """Return the rows with the largest losses, with as many cells as there is room for."""
    columns = labels(errors.columns, _MAX_NAME_LENGTH)
    cells = [[cell_text(cell) for cell in row.cells] for row in errors.rows]
    num_shown, used = 0, 0
    for place, column in enumerate(columns):
        used += 2 + max(len(column), *(len(row[place]) for row in cells))
        if used > _MAX_ROW_LENGTH and num_shown:
            break
        num_shown += 1
    note = f"Rows of {errors.source}, largest loss first."
    if num_shown < len(columns):
        note += f" {len(columns) - num_shown} of {len(columns)} columns are not shown."
    is_class = bool(errors.rows) and isinstance(errors.rows[0].truth, str)
    titles = (
        ("true", "predicted", "probability", "of the true class")
        if is_class
        else ("true", "predicted", "true − predicted")
    )
    rows = tuple(
        (row.position, *_prediction(row), metric_text(row.loss, 3), *shown[:num_shown])
        for row, shown in zip(errors.rows, cells, strict=True)
    )
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
    rows = -(-len(images) // columns)

    def fill(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes in panels:
            axes.set_axis_off()
        for axes, image, row in zip(panels, images, errors.rows, strict=False):
            span = np.ptp(image) or 1.0
            pixels = (image - image.min()) / span
            if image.shape[-1] == 1 and image.size * len(images) <= _MAX_VECTORS:
                axes.pcolormesh(
                    pixels[::-1, :, 0], cmap="cividis", edgecolors="face", linewidth=0.2
                )
                axes.set_aspect("equal")
            else:
                axes.imshow(pixels if image.shape[-1] == 3 else pixels[:, :, 0], cmap="cividis")
            axes.set_title(_caption(row), fontsize="small", loc="center")

    text = (
        f"The {len(images)} images with the largest losses, largest first: the true class with "
        "its predicted probability, and the predicted class where it differs."
    )
    return draw("largest-errors", "Largest errors", text, fill, size=(7.5, 0.2 + 2.1 * rows))


def _caption(row: ErrorRow) -> str:
    if isinstance(row.truth, float):
        return f"{row.position}\n{row.truth:.3g}, not {row.prediction:.3g}"
    lines = [row.position, f"{one_label(row.truth, 12)} ({row.true_probability:.0%})"]
    if row.prediction != row.truth:
        lines.append(f"not {one_label(str(row.prediction), 12)}")
    return "\n".join(lines)
