"""A picture of how answers change as one column does."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.reasons.partial_dependence import Dependence, Dependences
from dlcli.report.explanation.text import answer_of, figure, named, rows_asked
from dlcli.report.picture import COLORS, INK, Picture, draw, shortened

_LOW = 0.4  # probabilities that are all below it have a scale of their own
_MAX_TICKS = 80  # rows that a rug shows
_MAX_ASLANT = 5  # categories whose names stand aslant: those of more stand upright
_ASLANT: dict[str, Any] = {"rotation": 35.0, "ha": "right", "rotation_mode": "anchor"}
_DAY = 86400.0


def dependence_picture(found: Dependences, target: ClassTarget | NumberTarget) -> Picture:
    """Draw a panel for each column; of several classes, a row of panels for each class."""
    is_single = len(found.curves) == 1
    across = min(2, len(found.columns)) if is_single else len(found.columns)
    down = -(-len(found.columns) // across) if is_single else len(found.curves)

    def fill(drawing: Figure) -> None:
        sharex: Literal["none", "col"] = "none" if is_single else "col"
        panels = drawing.subplots(down, across, sharey=True, sharex=sharex, squeeze=False)
        if is_single:
            for axes, own in zip(panels.flatten(), found.columns, strict=False):
                _draw(axes, own, 0, is_last=True, is_narrow=False)
            for axes in panels.flatten()[len(found.columns) :]:
                axes.set_visible(False)
            drawing.supylabel(answer_of(target, found.curves[0]), fontsize="medium")
        else:
            for index, curve in enumerate(found.curves):
                for axes, own in zip(panels[index], found.columns, strict=True):
                    _draw(axes, own, index, is_last=index == down - 1, is_narrow=True)
                panels[index, 0].set_ylabel(shortened(curve, 14), fontsize="small")
            drawing.supylabel("probability of the class", fontsize="medium")
        if found.num_classes:
            highest = max(float(own.high.max()) for own in found.columns)
            top = 1.0 if highest > _LOW else 1.2 * highest
            panels[0, 0].set_ylim(-0.05 * top, 1.05 * top)

    height = 2.5 if is_single else 1.25
    return draw(
        "partial-dependence",
        "How answers depend on the columns that matter most",
        _in_words(found, target),
        fill,
        size=(7.5, 0.6 + height * down + max(map(_room, found.columns))),
    )


def _draw(axes: Axes, own: Dependence, curve: int, *, is_last: bool, is_narrow: bool) -> None:
    if own.axis == "category":
        _draw_categories(axes, own, curve)
    else:
        _draw_line(axes, own, curve, most_lines=6 if is_narrow else 10)
        num_ticks = 3 if is_narrow else 4 if own.axis == "datetime" else 6
        axes.xaxis.set_major_locator(MaxNLocator(num_ticks))
        if own.axis == "datetime":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _moment(value, own)))
            for label in axes.get_xticklabels():
                label.set(**_ASLANT)
        if is_narrow or own.axis == "datetime":
            axes.tick_params(axis="x", labelsize="small")
        if is_last:
            _draw_rug(axes, own)
    if is_last:
        axes.set_xlabel(shortened(own.column, 20 if is_narrow else 40))


def _draw_categories(axes: Axes, own: Dependence, curve: int) -> None:
    places, color = np.arange(len(own.places)), COLORS[curve]
    axes.vlines(places, own.low[:, curve], own.high[:, curve], color=color, alpha=0.3, linewidth=5)
    axes.plot(places, own.mean[:, curve], "o", color=color, markersize=6)
    labels = [
        f"{shortened(_category(place), 12)} ({count:,})"
        for place, count in zip(own.places, own.found.tolist(), strict=True)
    ]
    is_upright = len(places) > _MAX_ASLANT
    turned = {"rotation": 90.0, "fontsize": "x-small"} if is_upright else _ASLANT
    axes.set_xticks(places, labels, **{"fontsize": "small", **turned})
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _draw_line(axes: Axes, own: Dependence, curve: int, *, most_lines: int) -> None:
    places, color = np.array(own.places, np.float64), COLORS[curve]
    low, high = own.low[:, curve], own.high[:, curve]
    axes.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
    axes.plot(places, own.lines[:, :most_lines, curve], color=color, alpha=0.3, linewidth=0.6)
    axes.plot(places, own.mean[:, curve], color=color)
    margin = 0.03 * float(np.ptp(places))
    axes.set_xlim(places[0] - margin, places[-1] + margin)


def _draw_rug(axes: Axes, own: Dependence) -> None:
    """Draw where rows are, as one line with gaps: a line for each would take much room."""
    found = np.sort(own.found)
    chosen = found[np.linspace(0, len(found) - 1, min(_MAX_TICKS, len(found))).astype(int)]
    gaps = np.full(len(chosen), np.nan)
    x = np.column_stack([chosen, chosen, gaps]).ravel()
    y = np.tile([0.0, 0.04, np.nan], len(chosen))
    in_panel = axes.get_xaxis_transform()
    axes.plot(x, y, color=INK, alpha=0.5, linewidth=0.8, transform=in_panel)


def _category(place: object) -> str:
    return "missing" if place is None else str(place)


def _moment(seconds: float, own: Dependence) -> str:
    """Write a date, with the time where all are within two days."""
    moment = np.datetime64(round(seconds), "s")
    is_long = np.ptp(np.array(own.places, np.float64)) > 2 * _DAY
    return str(moment.astype("datetime64[D]" if is_long else "datetime64[m]")).replace("T", " ")


def _room(own: Dependence) -> float:
    """Return the inches that a column's labels take below it, beside usual ones."""
    if own.axis == "number":
        return 0.0
    return 0.9 if len(own.places) > _MAX_ASLANT and own.axis == "category" else 0.4


def _in_words(found: Dependences, target: ClassTarget | NumberTarget) -> str:
    answer = (
        answer_of(target, found.curves[0])
        if len(found.curves) == 1
        else "probability of each class"
    )
    text = (
        f"The {answer} when one column is set to a value in {rows_asked(found.asked)}, all else as "
        "it is: the mean as a thick line or a dot, some single rows as thin lines, 80 % of the "
        "rows within the band or the bar. "
        "Ticks at the bottom, and numbers in brackets, are the rows' own values. "
    )
    text += " ".join(_of_column(own, found.curves) for own in found.columns)
    if found.num_classes > max(2, len(found.curves)):
        text += f" Of {found.num_classes} classes, the {len(found.curves)} most frequent are drawn."
    return text


def _of_column(own: Dependence, curves: Sequence[str]) -> str:
    """Say how far the widest curve of a column goes."""
    index = int(np.ptp(own.mean, axis=0).argmax())
    mean = own.mean[:, index]
    curve = f"{named(curves[index])} " if len(curves) > 1 else ""
    if own.axis == "category":
        low, high = int(mean.argmin()), int(mean.argmax())
        text = (
            f"{named(own.column)}: {curve}from {figure(mean[low])} "
            f"({named(_category(own.places[low]))}) to {figure(mean[high])} "
            f"({named(_category(own.places[high]))})"
        )
        more = own.num_left_out
        return text + (f"; {more} rarer categories are left out." if more else ".")
    ends = [float(own.places[0] or 0), float(own.places[-1] or 0)]
    first, last = (_moment(end, own) if own.axis == "datetime" else figure(end) for end in ends)
    return (
        f"{named(own.column)}: {curve}{figure(mean[0])} at {first}, {figure(mean[-1])} at {last}."
    )
