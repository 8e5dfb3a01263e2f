"""The rows that a network is furthest off on, as a part of a page."""

import numpy as np
from matplotlib.figure import Figure

from dlcli.explaining.judging.largest_errors import ErrorRow, LargestErrors
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, draw
from dlcli.report.quality.text import cell_text, figure_text, labels, number, one_label
from dlcli.report.table import TextTable

_MAX_VECTORS = 1_000  # drawn one by one; more are kept as dots of an image
_LONGEST_NAME, _LONGEST_CELL = 24, 20
_ROOM = 70  # signs for the cells of a row


def errors_part(errors: LargestErrors) -> PageSection:
    """Return the rows with the largest losses, with the cells that there is room for."""
    columns = labels(errors.columns, _LONGEST_NAME)
    cells = [[cell_text(cell) for cell in row.cells] for row in errors.rows]
    num_shown, used = 0, 0
    for place, column in enumerate(columns):
        used += 2 + max(len(column), *(len(own[place]) for own in cells))
        if used > _ROOM and num_shown:
            break
        num_shown += 1
    note = f"Rows of {errors.source}, those with the largest losses first."
    if num_shown < len(columns):
        note += f" {len(columns) - num_shown} of {len(columns)} columns have no room here."
    is_class = bool(errors.rows) and isinstance(errors.rows[0].truth, str)
    titles = (
        ("true", "predicted", "probability", "of the true one")
        if is_class
        else (
            "true",
            "predicted",
            "true less predicted",
        )
    )
    rows = tuple(
        (row.place, *_answer(row), figure_text(row.loss, 3), *own[:num_shown])
        for row, own in zip(errors.rows, cells, strict=True)
    )
    picture = gallery(errors)
    said: tuple[str, ...] = ()
    if is_class:
        num_wrong = sum(row.truth != row.answer for row in errors.rows)
        are = "is" if num_wrong == 1 else "are"
        said = (f"{num_wrong} of these {len(rows)} rows {are} taken for another class.",)
    return PageSection(
        "The largest errors",
        said,
        (TextTable(("row", *titles, "loss", *columns[:num_shown]), rows, note),),
        (picture,) if picture else (),
    )


def _answer(row: ErrorRow) -> tuple[str, ...]:
    if isinstance(row.truth, str):
        names = (cell_text(row.truth), cell_text(str(row.answer)))
        return (*names, figure_text(row.probability, 3), figure_text(row.true_probability, 3))
    answer = float(row.answer)
    return (number(row.truth, 6), number(answer, 6), figure_text(row.truth - answer, 3))


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
        f"The {len(images)} rows with the largest losses as images, the largest first: what each "
        "one is, the probability that this was given, and what it was taken for instead."
    )
    return draw("largest-errors", "The largest errors", text, fill, size=(7.5, 0.2 + 2.1 * rows))


def _caption(row: ErrorRow) -> str:
    if isinstance(row.truth, float):
        return f"{row.place}\n{row.truth:.3g}, not {row.answer:.3g}"
    lines = [row.place, f"{one_label(row.truth, 12)} ({row.true_probability:.0%})"]
    if row.answer != row.truth:
        lines.append(f"not {one_label(str(row.answer), 12)}")
    return "\n".join(lines)
