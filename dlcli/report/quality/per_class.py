"""Per-class results and the confusion matrix."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.explaining.quality.curves import MAX_CURVES, ClassCurves, Curve
from dlcli.explaining.quality.quality import ClassQuality
from dlcli.numbers import fixed_text, percent_text
from dlcli.report.charts.chart import NUM_COLORS, NUM_DASHES, Axis, Box, Boxes, Chart, Line, Panel
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.table import TextTable
from dlcli.report.text import amount_text, labels, listed, metric_text

_MAX_COUNTED = 20  # classes whose rows are written into the confusion matrix
_MAX_CLASSES = 20  # in a table
_MAX_PAIRS = 10
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20
_MAX_TICKS = 40  # of classes
_MAX_LETTERS = 60  # of class names side by side
_MANY_ERRORS = 0.1  # of the rows of a class: as strong as it gets
_RIGHT, _WRONG = (0.08, 0.4), (0.15, 0.75)  # opacity of the fewest and of the most


def per_class_section(details: ClassQuality, classes: Sequence[str]) -> PageSection:
    """Return how well each class is recognised, and which classes are confused."""
    pairs = _confused_pairs(details.confusion, classes)
    curves = (curves_picture(details.curves, classes),) if details.curves else ()
    return PageSection(
        "Per-class results and confusion matrix",
        tuple(_sentences(details, classes)),
        (_table(details, classes), *((pairs,) if pairs else ())),
        (confusion_picture(details.confusion, classes), *curves),
    )


def _sentences(details: ClassQuality, classes: Sequence[str]) -> Iterator[str]:
    confusion = details.confusion
    total, num_wrong = amount_text(confusion.sum()), confusion.sum() - confusion.trace()
    if _is_weighted(confusion):
        yield f"Misclassified rows have {amount_text(num_wrong)} of the weight of all, {total}."
    else:
        are = "is" if num_wrong == 1 else "are"
        yield f"{num_wrong:,} of {total} rows {are} misclassified."
    absent = [name for name, size in zip(classes, confusion.sum(axis=1), strict=True) if not size]
    if absent:
        yield (
            f"No row belongs to {listed(absent)}, so nothing is known about "
            f"{'this class' if len(absent) == 1 else 'these classes'}."
        )
    if not details.curves:
        yield "All rows belong to one class, so there are no ROC and precision-recall curves."


def _table(details: ClassQuality, classes: Sequence[str]) -> TextTable:
    """Return a row for each class, or for those with the lowest F1."""
    confusion = details.confusion
    right, actual, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        recall, precision = right / actual, right / predicted
        f1 = 2 * right / (actual + predicted)
    chosen = np.arange(len(classes))
    note = "ROC AUC: the class against the rest."
    if len(classes) > _MAX_CLASSES:
        chosen = np.argsort(f1, kind="stable")[:_MAX_CLASSES]
        note += f" The {_MAX_CLASSES} of {len(classes)} classes with the lowest F1 are listed."
    names = labels(classes, _MAX_NAME_LENGTH)
    columns = (recall, precision, f1, details.areas)
    rows = tuple(
        (
            names[k],
            amount_text(actual[k]),
            *(metric_text(float(column[k]), 3) for column in columns),
        )
        for k in chosen
    )
    size = "weight" if _is_weighted(confusion) else "rows"
    return TextTable(("class", size, "recall", "precision", "F1", "ROC AUC"), rows, note)


def _confused_pairs(confusion: np.ndarray, classes: Sequence[str]) -> TextTable | None:
    """Return the most confused pairs of classes, where the matrix has no room for counts."""
    if len(classes) <= _MAX_COUNTED:
        return None
    wrong = confusion * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_PAIRS]
    names, sizes = labels(classes, _MAX_NAME_LENGTH), confusion.sum(axis=1)
    rows = tuple(
        (
            names[true],
            names[predicted],
            amount_text(wrong[true, predicted]),
            amount_text(sizes[true]),
        )
        for true, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, predicted]
    )
    if not rows:
        return None
    size = "weight" if _is_weighted(confusion) else "rows"
    return TextTable(("true class", "predicted", size, "of"), rows, "The most frequent confusions.")


def _is_weighted(confusion: np.ndarray) -> bool:
    """Say whether it holds weights, rather than numbers of rows."""
    return np.issubdtype(confusion.dtype, np.floating)


def confusion_picture(confusion: np.ndarray, classes: Sequence[str]) -> Picture:
    """Draw how often each true class (row) was predicted as each class (column)."""
    num_classes = len(classes)
    is_counted = num_classes <= _MAX_COUNTED
    names = labels(classes, 18 if is_counted else 10)
    right = float(confusion.trace() / confusion.sum())
    what = "weight" if _is_weighted(confusion) else "rows"
    cells = Boxes(_cells(confusion, names, is_counted=is_counted), is_small=num_classes > 12)
    places = range(0, num_classes, -(-num_classes // _MAX_TICKS))
    ticks = [(place + 0.5, names[place]) for place in places]
    is_wide = len(ticks) * max(len(name) for _, name in ticks) > _MAX_LETTERS
    ends: dict[str, Any] = {"low": 0.0, "high": float(num_classes)}
    panel = Panel(
        (cells,),
        Axis("predicted class", **ends, ticks=ticks, turned=90 if is_wide else 0, has_grid=False),
        Axis("true class", **ends, ticks=ticks, is_flipped=True, has_grid=False),
    )
    text = (
        "Rows: true classes; columns: predicted classes. Blue, on the diagonal: correct, stronger "
        f"the larger their share of the class, {percent_text(right, 1)} of "
        f"{'the weight of ' if what == 'weight' else ''}all rows. Orange: errors, stronger the "
        f"more {what} they are."
    )
    if not is_counted:
        text += " There are too many classes to print counts."
        if num_classes > _MAX_TICKS:
            text += " Not every class is labelled."
    height = min(520.0, max(150.0, 44.0 * num_classes))
    return chart_picture("confusion", "Confusion matrix", text, Chart(((panel,),), height=height))


def _cells(confusion: np.ndarray, names: Sequence[str], *, is_counted: bool) -> list[Box]:
    """Return a cell for each pair of classes that has rows.

    Errors are coloured by their number, so that one of 30 rows is pale and the most frequent
    confusion is not, unless even that is less than a tenth of a class.
    """
    sizes = confusion.sum(axis=1)
    errors = confusion * (1 - np.eye(len(names), dtype=np.int64))
    most = max(float(errors.max()), _MANY_ERRORS * float(sizes.mean()))
    found = []
    for true, predicted in np.argwhere(confusion).tolist():
        amount, is_right = float(confusion[true, predicted]), true == predicted
        share = amount / float(sizes[true]) if is_right else amount / most
        lightest, darkest = _RIGHT if is_right else _WRONG
        note = (
            f"{names[true]} predicted as {names[predicted]}: {amount_text(amount)} of "
            f"{amount_text(float(sizes[true]))}"
        )
        found.append(
            Box(
                float(predicted),
                float(true),
                predicted + 1.0,
                true + 1.0,
                color=0 if is_right else 1,
                opacity=round(lightest + (darkest - lightest) * share, 2),
                text=amount_text(amount) if is_counted else "",
                note=note if is_counted else "",
            )
        )
    return found


def curves_picture(curves: Sequence[ClassCurves], classes: Sequence[str]) -> Picture:
    """Draw ROC and precision-recall curves, of each class against the rest."""
    names = labels(classes, 30)
    lines = [curve for curve in curves if curve.index is not None]
    mean = next((curve for curve in curves if curve.index is None), None)
    chance = (mean or curves[0]).share

    rocs, trades = [], []
    for number, curve in enumerate(curves):
        color, dashes, width = (number % NUM_COLORS, number % NUM_DASHES, 1.6)
        name = "mean over classes" if curve.index is None else names[curve.index]
        areas = f"{fixed_text(curve.roc.area)}, {fixed_text(curve.precision_recall.area)}"
        style: dict[str, Any] = {"name": f"{name}: {areas}", "width": width}
        style |= {"color": color, "dashes": dashes}
        if curve.index is None:
            style |= {"color": "ink", "dashes": 0, "width": 2.4}
        rocs.append(Line(curve.roc.x, curve.roc.y, **style))
        trades.append(Line(*_steps(curve.precision_recall), **style))
    guess: dict[str, Any] = {"color": "ink", "dashes": 3, "width": 1.2, "has_tooltip": False}
    rocs.append(Line([0, 1], [0, 1], f"chance: 0.500, {fixed_text(chance)}", **guess))
    trades.append(Line([0, 1], [chance, chance], **guess))
    ends: dict[str, Any] = {"low": -0.02, "high": 1.02, "max_ticks": 5}
    left = Panel(rocs, Axis("false positive rate", **ends), Axis("true positive rate", **ends))
    right = Panel(trades, Axis("recall", **ends), Axis("precision", **ends))
    worst = lines[0]
    text = "Left: ROC curve; right: precision-recall curve"
    if mean is None:
        text += (
            f", for the class {names[worst.index or 0]}: ROC AUC {fixed_text(worst.roc.area)}, "
            f"average precision {fixed_text(worst.precision_recall.area)}."
        )
    else:
        which = f"the {len(lines)} classes that have rows"
        if len(lines) == len(classes):
            which = "each class"
        elif len(lines) == MAX_CURVES:
            which = f"the {MAX_CURVES} classes with the lowest ROC AUC"
        text += (
            f", for {which} against the rest. The lowest ROC AUC is {fixed_text(worst.roc.area)}, "
            f"for {names[worst.index or 0]}; the mean over classes is "
            f"{fixed_text(mean.roc.area)}, that of the average precision "
            f"{fixed_text(mean.precision_recall.area)}."
        )
    text += f" Chance level (dotted): 0.5 and {fixed_text(chance)}."
    chart = Chart(((left, right),), height=250.0, legend_title="class: ROC AUC, average precision")
    return chart_picture("roc-and-precision-recall", "ROC and precision-recall", text, chart)


def _steps(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a precision-recall curve, which is a sum of steps."""
    end = int(np.searchsorted(curve.x, 1.0)) + 1  # all that follows is right below
    x, y = curve.x[:end], np.append(curve.y[1], curve.y[1:end])  # the first one is of no rows
    return np.append(x[0], np.repeat(x[1:], 2)), np.append(np.repeat(y, 2)[2:], y[-1])
