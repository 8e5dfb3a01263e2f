"""How good a network is at telling classes, as parts of a page."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcli.explaining.judging.calibration import TemperatureScaling
from dlcli.explaining.judging.quality import ClassQuality, Quality
from dlcli.report.page import PageSection
from dlcli.report.quality.class_pictures import (
    confusion_picture,
    curves_picture,
    reliability_picture,
)
from dlcli.report.quality.text import figure_text, labels, listed
from dlcli.report.table import TextTable

MAX_COUNTED = 20  # classes whose rows are written into the confusion matrix
_MAX_CLASSES = 20  # in a table
_MAX_PAIRS = 10
_LONGEST_NAME, _LONGEST_CELL = 24, 20


def class_parts(
    quality: Quality, details: ClassQuality, classes: Sequence[str]
) -> list[PageSection]:
    """Return which classes it mistakes, and whether its probabilities hold."""
    pairs = _pairs(details.confusion, classes)
    curves = (curves_picture(details.curves, classes),) if details.curves else ()
    return [
        PageSection(
            "Which classes it mistakes",
            tuple(_mistakes(details, classes)),
            (_classes(details, classes), *((pairs,) if pairs else ())),
            (confusion_picture(details.confusion, classes), *curves),
        ),
        PageSection(
            "Whether its probabilities hold",
            tuple(_calibration(quality, details)),
            pictures=(reliability_picture(details),),
        ),
    ]


def _mistakes(details: ClassQuality, classes: Sequence[str]) -> Iterator[str]:
    confusion = details.confusion
    num_wrong = int(confusion.sum() - confusion.trace())
    are = "is" if num_wrong == 1 else "are"
    yield f"{num_wrong:,} of {confusion.sum():,} rows {are} taken for another class."
    absent = [name for name, size in zip(classes, confusion.sum(axis=1), strict=True) if not size]
    if absent:
        yield (
            f"No row is of {listed(absent)}: nothing is known here of how "
            f"{'it is' if len(absent) == 1 else 'they are'} told."
        )
    if not details.curves:
        yield "All rows are of one class, so there are no ROC and precision-recall curves."


def _classes(details: ClassQuality, classes: Sequence[str]) -> TextTable:
    """Return a row for each class, or for those that are told worst."""
    confusion = details.confusion
    right, actual, given = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        recall, precision = right / actual, right / given
        f1 = 2 * right / (actual + given)
    chosen = np.arange(len(classes))
    note = "ROC area: of the class against the rest."
    if len(classes) > _MAX_CLASSES:
        chosen = np.argsort(f1, kind="stable")[:_MAX_CLASSES]
        note += f" The {_MAX_CLASSES} classes of {len(classes)} with the lowest F1."
    names = labels(classes, _LONGEST_NAME)
    columns = (recall, precision, f1, details.areas)
    rows = tuple(
        (names[k], f"{actual[k]:,}", *(figure_text(float(column[k]), 3) for column in columns))
        for k in chosen
    )
    return TextTable(("class", "rows", "recall", "precision", "F1", "ROC area"), rows, note)


def _pairs(confusion: np.ndarray, classes: Sequence[str]) -> TextTable | None:
    """Return the most confused pairs of classes, where the matrix has no room for numbers."""
    if len(classes) <= MAX_COUNTED:
        return None
    wrong = confusion * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_PAIRS]
    names, sizes = labels(classes, _LONGEST_NAME), confusion.sum(axis=1)
    rows = tuple(
        (names[true], names[given], str(wrong[true, given]), f"{sizes[true]:,}")
        for true, given in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, given]
    )
    if not rows:
        return None
    return TextTable(
        ("true class", "taken for", "rows", "of"), rows, "The pairs that are mistaken most often."
    )


def _calibration(quality: Quality, details: ClassQuality) -> Iterator[str]:
    own = details.reliability
    sure = float(own.num_rows @ own.confidence / own.num_rows.sum())
    right = float(own.num_rows @ own.accuracy / own.num_rows.sum())
    is_chance = own.error <= details.chance_error
    way = f"it is {'too sure' if sure > right else 'not sure enough'}"
    if abs(sure - right) < own.error / 2:
        way = "it is too sure of some rows and not sure enough of others"
    yield (
        f"It is {sure:.1%} sure on average, and right in {right:.1%} of the rows; the expected "
        f"calibration error is {own.error:.3f}. "
        + (
            "That is no more than chance: of networks whose probabilities are right, one in 20 "
            f"has more than {figure_text(details.chance_error, 2)} on such rows."
            if is_chance
            else f"That is more than chance, which would stay below "
            f"{figure_text(details.chance_error, 2)} in 95 of 100 cases: {way}."
        )
    )
    yield from quality.loss.calibration_notes()
    yield _mending(details.mending, own.error, quality.part)


def _mending(mending: TemperatureScaling | None, error: float, part: str) -> str:
    if mending is None:
        return "There are no validation rows to fit a temperature to, which might mend it."
    rows = f"the {mending.num_rows:,} validation rows"
    if mending.temperature is None or mending.reliability is None:
        return (
            f"{rows[0].upper()}{rows[1:]} tell no temperature that might mend it: the best one is "
            "beyond all bounds, as where every row is right."
        )
    after = mending.reliability.error
    said = (
        f"With its outputs divided by {mending.temperature:.3g}, the temperature that fits {rows} "
        f"best, the error is {after:.3f}"
    )
    said += ", which mends nothing." if after >= error else "."
    if mending.is_on_same_rows:
        said += f" It is fitted to the {part} rows that this is told of, and flatters."
    return said
