"""Pictures of which columns matter."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.reasons.permutation_importance import Importance, Importances
from dlcli.losses import Loss
from dlcli.report.explanation.text import NAME, figure, named, rows_asked
from dlcli.report.picture import COLORS, INK, Picture, draw, shortened

_MAX_BARS = 15
_TOLD = 4  # columns that the caption has figures of
_MAX_DOTS = 1000  # pixels in which one can see a dot


def importance_picture(
    found: Importances, loss: Loss, target: ClassTarget | NumberTarget
) -> Picture:
    """Draw how much the loss rises without each column, the highest first."""
    shown = found.columns[:_MAX_BARS]

    def fill(drawing: Figure) -> None:
        axes = drawing.add_subplot()
        for row, own in enumerate(shown):
            color = COLORS[0] if own.is_clear else COLORS[6]
            axes.barh(row, own.rise, 0.66, color=color, alpha=0.3)
            axes.plot([own.low, own.high], [row, row], color=color)
            axes.plot(own.rise, row, "o" if own.is_clear else "D", color=color, markersize=5)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(shown)), [shortened(own.name, NAME) for own in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(f"rise of the {loss.title} when the column is shuffled")

    num_clear = sum(own.is_clear for own in found.columns)
    text = (
        f"{_about(found, loss, target, 'one column')} {_told(shown)} Dots: clearly above 0, as "
        f"{num_clear} of {len(found.columns):,}; grey diamonds: the interval reaches 0 or below."
    )
    if len(found.columns) > len(shown):
        text += f" The {len(shown)} highest are drawn."
    size = (7.5, 1.0 + 0.3 * len(shown))
    return draw("importance", "Which columns matter", text, fill, size=size)


def pixels_picture(
    found: Importances, loss: Loss, target: ClassTarget | NumberTarget, *, is_image: bool
) -> Picture:
    """Draw how much the loss rises without each pixel of an image, or point of a signal."""
    pixels, clear = found.pixels, found.clear
    assert pixels is not None
    assert clear is not None
    height, width = pixels.shape
    has_dots = pixels.size <= _MAX_DOTS

    def fill(drawing: Figure) -> None:
        axes = drawing.add_subplot()
        aspect: Literal["equal", "auto"] = "equal" if is_image else "auto"
        image = axes.imshow(pixels, cmap="cividis", interpolation="nearest", aspect=aspect)
        if has_dots:
            rows, columns = np.nonzero(clear)
            dot: Any = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.6}
            axes.plot(columns, rows, "o", markersize=3.5, **dot)
        axes.grid(visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("column of pixels" if is_image else "place")
        axes.set_ylabel("row of pixels" if is_image else "channel")
        bar = drawing.colorbar(image, ax=axes)
        bar.set_label(f"rise of the {loss.title}")

    single, several = ("pixel", "pixels") if is_image else ("point", "points")
    if found.patch == 1:
        what = f"one {single}"
    else:
        size = f"{found.patch} × {found.patch}" if is_image else str(found.patch)
        what = f"a patch of {size} {several}"
    num_clear = sum(own.is_clear for own in found.columns)
    text = (
        f"{_about(found, loss, target, what)} {_told(found.columns)} "
        f"{'With a dot: clearly' if has_dots else 'Clearly'} above 0, as {num_clear} of "
        f"{len(found.columns):,} {several if found.patch == 1 else 'patches'}."
    )
    tall = min(5.2, 1.0 + 3.8 * height / width) if is_image else 2.6 + 0.2 * min(height, 12)
    return draw("importance", f"Which {several} matter", text, fill, size=(6.0, max(2.8, tall)))


def _about(found: Importances, loss: Loss, target: ClassTarget | NumberTarget, what: str) -> str:
    unit = loss.unit_name(shortened(target.name, NAME))
    return (
        f"How much the {loss.title} on {rows_asked(found.asked)}, {figure(found.loss)} as they "
        f"are, rises when {what} is shuffled among them, in {unit}, with intervals "
        " of 95 %."
    )


def _told(columns: Sequence[Importance]) -> str:
    told = [
        f"{named(own.name)} {figure(own.rise)} ({figure(own.low)} to {figure(own.high)})"
        for own in columns[:_TOLD]
    ]
    return f"The highest: {', '.join(told)}." if told else ""
