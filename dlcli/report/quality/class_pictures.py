"""Pictures of which classes a network mistakes, and of its probabilities."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.judging.calibration import Reliability
from dlcli.explaining.judging.curves import MAX_CURVES, ClassCurves
from dlcli.explaining.judging.quality import ClassQuality
from dlcli.report.picture import COLORS, DASHES, INK, Picture, draw
from dlcli.report.quality.text import labels

MAX_COUNTED = 20  # classes whose rows are written into the confusion matrix
_MAX_TICKS = 40  # of classes
_MAX_VECTORS = 1_000  # drawn one by one; more are kept as dots of an image


def confusion_picture(confusion: np.ndarray, classes: Sequence[str]) -> Picture:
    """Draw how often a class (row) was taken for another (column)."""
    number = len(classes)
    is_counted = number <= MAX_COUNTED
    names = labels(classes, 18 if is_counted else 10)
    sizes = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, sizes, out=np.zeros(confusion.shape), where=sizes > 0)
    right = confusion.trace() / confusion.sum()

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        shown = np.ma.masked_equal(shares, 0.0)
        is_raster = number**2 > _MAX_VECTORS
        most = 1.0 if is_counted else shares.max()
        mesh = axes.pcolormesh(shown, cmap="cividis", vmin=0, vmax=most, rasterized=is_raster)
        if is_counted:
            mesh.set(edgecolor=INK, linewidth=0.4)  # dark cells on a dark page
        size = 9 if number <= 12 else 7 if is_counted else 6
        for row, column in np.argwhere(confusion) if is_counted else ():
            axes.text(
                column + 0.5,
                row + 0.5,
                str(confusion[row, column]),
                color="white" if shares[row, column] < 0.55 else "black",
                ha="center",
                va="center",
                fontsize=size,
            )
        if not is_counted:
            figure.colorbar(mesh, ax=axes, label="share of the true class's rows")
        places = range(0, number, -(-number // _MAX_TICKS))
        shown_names = [names[place] for place in places]
        is_wide = number * max(map(len, shown_names)) > 60
        ticks = [place + 0.5 for place in places]
        axes.set_xticks(ticks, shown_names, rotation=90 if is_wide else 0, fontsize=size)
        axes.set_yticks(ticks, shown_names, fontsize=size)
        axes.set_ylim(number, 0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(True)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")

    text = (
        "How often each true class (row) was taken for each class (column). Colours: the share of "
        f"the true class's rows; blank: none. On the diagonal, where it is right: {right:.1%} of "
        "all rows."
    )
    if not is_counted:
        text += " There are too many classes to write the numbers of rows."
        if number > _MAX_TICKS:
            text += " Not every class has room for its name."
    height = min(6.8, 1.5 + 0.36 * number)
    return draw("confusion", "Confusion matrix", text, fill, size=(7.5, height))


def curves_picture(curves: Sequence[ClassCurves], classes: Sequence[str]) -> Picture:
    """Draw ROC and precision-recall curves, of each class against the rest."""
    names = labels(classes, 30)
    lines = [own for own in curves if own.index is not None]
    mean = next((own for own in curves if own.index is None), None)
    chance = (mean or curves[0]).share

    def fill(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        handles, told = [], []
        for number, own in enumerate(curves):
            style = {"color": COLORS[number % 7], "linestyle": DASHES[number % 4], "linewidth": 1.6}
            if own.index is None:
                style = {"color": INK, "linestyle": "-", "linewidth": 2.4}
            (line,) = left.plot(own.roc.x, own.roc.y, **style)
            trade = own.precision_recall
            end = int(np.searchsorted(trade.x, 1.0)) + 1  # all that follows is right below
            height = np.append(trade.y[1], trade.y[1:end])  # the first one is of no rows
            right.plot(trade.x[:end], height, drawstyle="steps-pre", **style)
            handles.append(line)
            name = "mean of all classes" if own.index is None else names[own.index]
            told.append(f"{own.roc.area:.3f}, {own.precision_recall.area:.3f}  {name}")
        guess = {"color": INK, "linestyle": ":", "linewidth": 1.0}
        handles += left.plot([0, 1], [0, 1], **guess)
        right.plot([0, 1], [chance, chance], **guess)
        told.append(f"0.500, {chance:.3f}  by chance")
        for axes in (left, right):
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.set_aspect("equal")
        left.set_xlabel("false positives / negatives")
        left.set_ylabel("true positives / positives")
        right.set_xlabel("recall")
        right.set_ylabel("precision")
        figure.legend(
            handles,
            told,
            title="ROC area, average precision",
            loc="outside lower center",
            ncols=2,
            fontsize="small",
        )

    worst = lines[0]
    text = "Left: ROC, right: precision against recall"
    if mean is None:
        text += (
            f", for the class {names[worst.index or 0]}: a ROC area of {worst.roc.area:.3f} and an "
            f"average precision of {worst.precision_recall.area:.3f}."
        )
    else:
        which = f"the {len(lines)} classes that rows are of"
        if len(lines) == len(classes):
            which = "each class"
        elif len(lines) == MAX_CURVES:
            which = f"the {MAX_CURVES} classes told worst"
        text += (
            f", for {which} against the rest. The lowest ROC area is {worst.roc.area:.3f}, of "
            f"{names[worst.index or 0]}; the mean over classes {mean.roc.area:.3f}, that of the "
            f"average precision {mean.precision_recall.area:.3f}."
        )
    text += f" By chance they would be 0.5 and {chance:.3f} (dotted)."
    height = 3.9 + 0.2 * -(-(len(curves) + 1) // 2)
    return draw(
        "roc-and-precision-recall", "ROC and precision-recall", text, fill, size=(7.5, height)
    )


def reliability_picture(quality: ClassQuality) -> Picture:
    """Draw how often it is right against how sure it is."""
    own, mending = quality.reliability, quality.mending
    mended = mending.reliability if mending else None

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1.0, label="as it should be")
        _bins(axes, own, COLORS[0], "o", "-", f"as it is: {own.error:.3f}")
        if mending and mended:
            label = f"temperature {mending.temperature:.3g}: {mended.error:.3f}"
            _bins(axes, mended, COLORS[1], "D", "--", label)
        shown = [some for some in (own, mended) if some]
        lowest = min(min(some.confidence.min(), some.low.min()) for some in shown)
        highest = max(max(some.confidence.max(), some.high.max()) for some in shown)
        bottom, top = np.floor(10 * lowest) / 10, np.ceil(10 * highest) / 10
        axes.set_xlim(bottom, top + 0.02)
        axes.set_ylim(bottom, top + 0.02)
        axes.set_xlabel("probability of the predicted class")
        axes.set_ylabel("share of the rows that are right")
        axes.legend(
            title="calibration error", loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small"
        )

    num_bins, size = len(own.num_rows), round(own.num_rows.mean())
    bins = f"about {size} in each of {num_bins} bins" if num_bins > 1 else "all in one bin"
    text = (
        "How often it is right against how sure it is, with intervals of 95 %: rows of alike "
        f"probability together, {bins}. Below the dotted line it is too sure of itself. The "
        f"expected calibration error is {own.error:.3f}"
    )
    if mending and mended:
        text += f"; with a temperature of {mending.temperature:.3g} it is {mended.error:.3f}"
    return draw("reliability", "Reliability", f"{text}.", fill)


def _bins(axes: Axes, own: Reliability, color: str, marker: str, line: str, label: str) -> None:
    reach = np.abs([own.accuracy - own.low, own.high - own.accuracy])
    axes.errorbar(
        own.confidence,
        own.accuracy,
        reach,
        color=color,
        marker=marker,
        markersize=5,
        linestyle=line,
        linewidth=1.4,
        elinewidth=0.8,
        label=label,
    )
