"""Per-class results and the confusion matrix."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from dlcli.explaining.quality.curves import MAX_CURVES, ClassCurves
from dlcli.explaining.quality.quality import ClassQuality
from dlcli.report.page import PageSection
from dlcli.report.picture import COLORS, DASHES, INK, Picture, draw
from dlcli.report.table import TextTable
from dlcli.report.text import amount_text, labels, listed, metric_text

_MAX_COUNTED = 20  # classes whose rows are written into the confusion matrix
_MAX_CLASSES = 20  # in a table
_MAX_PAIRS = 10
_MAX_NAME_LENGTH, _MAX_CELL_LENGTH = 24, 20
_MAX_TICKS = 40  # of classes
_MAX_VECTORS = 1_000  # drawn one by one; more are kept as dots of an image


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
    sizes = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, sizes, out=np.zeros(confusion.shape), where=sizes > 0)
    right = confusion.trace() / confusion.sum()
    what = "weight" if _is_weighted(confusion) else "rows"

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        shown = np.ma.masked_equal(shares, 0.0)
        is_raster = num_classes**2 > _MAX_VECTORS
        most = 1.0 if is_counted else shares.max()
        mesh = axes.pcolormesh(shown, cmap="cividis", vmin=0, vmax=most, rasterized=is_raster)
        if is_counted:
            mesh.set(edgecolor=INK, linewidth=0.4)  # dark cells on a dark page
        size = 9 if num_classes <= 12 else 7 if is_counted else 6
        for row, column in np.argwhere(confusion) if is_counted else ():
            axes.text(
                column + 0.5,
                row + 0.5,
                amount_text(confusion[row, column]),
                color="white" if shares[row, column] < 0.55 else "black",
                ha="center",
                va="center",
                fontsize=size,
            )
        if not is_counted:
            figure.colorbar(mesh, ax=axes, label=f"share of the true class's {what}")
        places = range(0, num_classes, -(-num_classes // _MAX_TICKS))
        shown_names = [names[place] for place in places]
        is_wide = num_classes * max(map(len, shown_names)) > 60
        ticks = [place + 0.5 for place in places]
        axes.set_xticks(ticks, shown_names, rotation=90 if is_wide else 0, fontsize=size)
        axes.set_yticks(ticks, shown_names, fontsize=size)
        axes.set_ylim(num_classes, 0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(True)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")

    text = (
        "Rows: true classes; columns: predicted classes. Colour: the share of the true class's "
        f"{what}; blank: none. The diagonal holds the correct predictions, {right:.1%} of "
        f"{'the weight of ' if what == 'weight' else ''}all rows."
    )
    if not is_counted:
        text += " There are too many classes to print counts."
        if num_classes > _MAX_TICKS:
            text += " Not every class is labelled."
    height = min(6.8, 1.5 + 0.36 * num_classes)
    return draw("confusion", "Confusion matrix", text, fill, size=(7.5, height))


def curves_picture(curves: Sequence[ClassCurves], classes: Sequence[str]) -> Picture:
    """Draw ROC and precision-recall curves, of each class against the rest."""
    names = labels(classes, 30)
    lines = [curve for curve in curves if curve.index is not None]
    mean = next((curve for curve in curves if curve.index is None), None)
    chance = (mean or curves[0]).share

    def fill(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        handles, entries = [], []
        for number, curve in enumerate(curves):
            style = {"color": COLORS[number % 7], "linestyle": DASHES[number % 4], "linewidth": 1.6}
            if curve.index is None:
                style = {"color": INK, "linestyle": "-", "linewidth": 2.4}
            (line,) = left.plot(curve.roc.x, curve.roc.y, **style)
            trade = curve.precision_recall
            end = int(np.searchsorted(trade.x, 1.0)) + 1  # all that follows is right below
            height = np.append(trade.y[1], trade.y[1:end])  # the first one is of no rows
            right.plot(trade.x[:end], height, drawstyle="steps-pre", **style)
            handles.append(line)
            name = "mean over classes" if curve.index is None else names[curve.index]
            entries.append(f"{curve.roc.area:.3f}, {curve.precision_recall.area:.3f}  {name}")
        guess = {"color": INK, "linestyle": ":", "linewidth": 1.0}
        handles += left.plot([0, 1], [0, 1], **guess)
        right.plot([0, 1], [chance, chance], **guess)
        entries.append(f"0.500, {chance:.3f}  chance")
        for axes in (left, right):
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.set_aspect("equal")
        left.set_xlabel("false positive rate")
        left.set_ylabel("true positive rate")
        right.set_xlabel("recall")
        right.set_ylabel("precision")
        figure.legend(
            handles,
            entries,
            title="ROC AUC, average precision",
            loc="outside lower center",
            ncols=2,
            fontsize="small",
        )

    worst = lines[0]
    text = "Left: ROC curve; right: precision-recall curve"
    if mean is None:
        text += (
            f", for the class {names[worst.index or 0]}: ROC AUC {worst.roc.area:.3f}, "
            f"average precision {worst.precision_recall.area:.3f}."
        )
    else:
        which = f"the {len(lines)} classes that have rows"
        if len(lines) == len(classes):
            which = "each class"
        elif len(lines) == MAX_CURVES:
            which = f"the {MAX_CURVES} classes with the lowest ROC AUC"
        text += (
            f", for {which} against the rest. The lowest ROC AUC is {worst.roc.area:.3f}, for "
            f"{names[worst.index or 0]}; the mean over classes is {mean.roc.area:.3f}, that of the "
            f"average precision {mean.precision_recall.area:.3f}."
        )
    text += f" Chance level (dotted): 0.5 and {chance:.3f}."
    height = 3.9 + 0.2 * -(-(len(curves) + 1) // 2)
    return draw(
        "roc-and-precision-recall", "ROC and precision-recall", text, fill, size=(7.5, height)
    )
