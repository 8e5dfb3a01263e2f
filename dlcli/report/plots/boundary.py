"""A picture of the answers all over the plane of two numbers."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlcli.data.target import ClassTarget, NumberTarget
from dlcli.explaining.reasons.boundary import Boundary, InputPlane, Points
from dlcli.report.explanation.text import NAME, answer_of, equation_of, figure, rows_of
from dlcli.report.picture import COLORS, INK, Picture, draw, shortened

_MAX_COLORED = 6  # classes; all others share a colour
_MARKERS = "osD^vPX"
_STRONGEST = 0.45  # opacity of a region
SHADES = 64  # of a scale: one doesn't see more, and they take less room
_SMALL, _LARGE = 3.5, 6.0  # markers of training rows, and of held-out ones


def boundary_picture(found: Boundary, target: ClassTarget | NumberTarget) -> Picture:
    """Draw the answers all over the plane, with rows on top."""
    plane = found.plane

    def fill(drawing: Figure) -> None:
        axes = drawing.add_subplot()
        if isinstance(target, NumberTarget):
            _draw_number(drawing, axes, found, target)
        elif len(target.classes) == 2:
            _draw_two(axes, found, target)
        else:
            _draw_several(axes, found, target)
        axes.grid(visible=False)
        axes.set_xlim(plane.x[0], plane.x[-1])
        axes.set_ylim(plane.y[0], plane.y[-1])
        axes.set_xlabel(shortened(plane.names[0], 50))
        axes.set_ylabel(shortened(plane.names[1], 36))

    title = "The answers" if isinstance(target, NumberTarget) else "The boundary"
    return draw("boundary", title, _in_words(found, target), fill, size=(7.5, 5.0))


def where_on(plane: InputPlane) -> dict[str, Any]:
    """Return how imshow puts numbers [y, x] where they belong in a plane."""
    return {
        "extent": (plane.x[0], plane.x[-1], plane.y[0], plane.y[-1]),
        "origin": "lower",
        "aspect": "auto",
        "interpolation": "bilinear",
        "interpolation_stage": "data",
    }


def _draw_two(axes: Axes, found: Boundary, target: ClassTarget) -> None:
    plane, second = found.plane, found.answers[:, :, 1]
    ends = [to_rgba(COLORS[0], _STRONGEST), to_rgba(COLORS[0], 0.0)]
    ends += [to_rgba(COLORS[1], 0.0), to_rgba(COLORS[1], _STRONGEST)]
    colors = LinearSegmentedColormap.from_list(
        "classes", list(zip([0.0, 0.5, 0.5, 1.0], ends, strict=True)), SHADES
    )
    axes.imshow(second, cmap=colors, vmin=0.0, vmax=1.0, **where_on(plane))
    handles = []
    levels: tuple[tuple[float, Literal[":", "-", "--"], float], ...]
    levels = ((0.1, ":", 1.0), (0.5, "-", 1.8), (0.9, "--", 1.0))
    for level, dashes, width in levels:
        if second.min() < level < second.max():
            axes.contour(
                plane.x, plane.y, second, [level], colors=INK, linestyles=dashes, linewidths=width
            )
        label = f"probability {level:g}"
        handles.append(Line2D([], [], color=INK, linestyle=dashes, linewidth=width, label=label))
    _draw_classes(axes, found.points, target, [0, 1], handles)


def _draw_several(axes: Axes, found: Boundary, target: ClassTarget) -> None:
    plane, best = found.plane, found.answers.argmax(axis=2)
    colored = _colored(best, target)
    alphas = 0.1 + (_STRONGEST - 0.1) * found.answers.max(axis=2)
    image = np.zeros((*best.shape, 4))
    for index in np.unique(best).tolist():
        image[best == index] = to_rgba(_color(index, colored))
    image[:, :, 3] = alphas
    axes.imshow(image, **{**where_on(plane), "interpolation": "nearest"})
    for index in np.unique(best).tolist()[:-1] if len(np.unique(best)) == 2 else np.unique(best):
        rest = np.delete(found.answers, index, axis=2).max(axis=2)
        axes.contour(
            plane.x, plane.y, found.answers[:, :, index] - rest, [0.0], colors=INK, linewidths=1.2
        )
    _draw_classes(axes, found.points, target, colored, [])


def _draw_number(drawing: Figure, axes: Axes, found: Boundary, target: NumberTarget) -> None:
    truth = np.concatenate([own.truth for own in found.points])
    low, high = np.quantile(found.answers, [0.01, 0.99])
    norm = Normalize(min(low, truth.min(initial=low)), max(high, truth.max(initial=high)))
    image = axes.imshow(
        found.answers,
        cmap=colormaps["cividis"].resampled(SHADES),
        norm=norm,
        **where_on(found.plane),
    )
    handles = []
    for own in found.points:
        is_train = own.part == "train"
        size, marker = (_SMALL, "o") if is_train else (_LARGE, "D")
        axes.scatter(
            own.x,
            own.y,
            size**2,
            own.truth,
            marker=marker,
            cmap="cividis",
            norm=norm,
            edgecolors="white",
            linewidths=0.5 if is_train else 1.0,
        )
        handles.append(_sample(marker, COLORS[6], size, rows_of(own.part), edge="white"))
    bar = drawing.colorbar(image, ax=axes)
    bar.set_label(f"{shortened(target.name, NAME)}: predicted, and of the points the true one")
    drawing.legend(handles=handles, loc="outside upper center", ncols=2)


def _draw_classes(
    axes: Axes,
    points: Sequence[Points],
    target: ClassTarget,
    colored: Sequence[int],
    handles: list[Line2D],
) -> None:
    """Draw rows by class, training ones small, held-out ones large and with an edge."""
    for own in points:
        is_train = own.part == "train"
        for index in np.unique(own.truth).tolist():
            which = own.truth == index
            axes.plot(
                own.x[which],
                own.y[which],
                _marker(index, colored),
                color=_color(index, colored),
                markersize=_SMALL if is_train else _LARGE,
                markeredgecolor="none" if is_train else INK,
                markeredgewidth=0.8,
                alpha=0.8 if is_train else 1.0,
            )
    names = [target.classes[index] for index in colored]
    samples = [
        _sample(_marker(index, colored), _color(index, colored), _LARGE, shortened(name, 18))
        for index, name in zip(colored, names, strict=True)
    ]
    if len(target.classes) > len(colored):
        samples.append(_sample(_MARKERS[-1], COLORS[6], _LARGE, "other classes"))
    for own in points:
        is_train = own.part == "train"
        size, edge = (_SMALL, "none") if is_train else (_LARGE, INK)
        samples.append(_sample("o", COLORS[6], size, rows_of(own.part), edge=edge))
    axes.legend(handles=[*samples, *handles], loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _sample(marker: str, color: str, size: float, label: str, *, edge: str = "none") -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        color=color,
        markersize=size,
        markeredgecolor=edge,
        label=label,
    )


def _colored(best: np.ndarray, target: ClassTarget) -> list[int]:
    """Return the classes with a colour of their own: those with the largest regions."""
    areas = np.bincount(best.ravel(), minlength=len(target.classes))
    order = np.lexsort((-np.array(target.counts), -areas))
    return sorted(order[:_MAX_COLORED].tolist())


def _color(index: int, colored: Sequence[int]) -> str:
    return COLORS[colored.index(index)] if index in colored else COLORS[6]


def _marker(index: int, colored: Sequence[int]) -> str:
    return _MARKERS[colored.index(index)] if index in colored else _MARKERS[-1]


def _in_words(found: Boundary, target: ClassTarget | NumberTarget) -> str:
    x, y = (shortened(name, NAME) for name in found.plane.names)
    if isinstance(target, NumberTarget):
        text = (
            f"The {answer_of(target, '')} for each {x} and {y}: from "
            f"{figure(float(found.answers.min()))} to {figure(float(found.answers.max()))}."
        )
        if found.equation is not None:
            text += f" It is {equation_of(found.equation, found.plane)}."
    elif len(target.classes) == 2:
        share = float((found.answers[:, :, 1] > 0.5).mean())
        second = shortened(target.classes[1], NAME)
        text = (
            f"The {answer_of(target, target.classes[1])} for each {x} and {y}; the line is where "
            f"both classes are as likely. {share:.0%} of the plane is {second}'s."
        )
        if found.equation is not None:
            text += f" The line: {equation_of(found.equation, found.plane)} = 0."
    else:
        shares = np.bincount(found.answers.argmax(axis=2).ravel()) / found.answers[:, :, 0].size
        largest = np.argsort(-shares, kind="stable")[:_MAX_COLORED]
        told = [
            f"{shortened(target.classes[index], NAME)} {shares[index]:.0%}"
            for index in largest.tolist()
            if shares[index] > 0
        ]
        text = (
            f"The likeliest class for each {x} and {y}, the stronger the likelier. Shares of the "
            f"plane: {', '.join(told)}."
        )
    return f"{text} {' '.join(_about(own) for own in found.points)}"


def _about(own: Points) -> str:
    shown, name = len(own.x), rows_of(own.part)
    text = f"Of {own.num_rows:,} {name}, {shown:,} are drawn"
    if own.num_gaps:
        text += f"; {own.num_gaps:,} more lack a number"
    if own.num_outside:
        text += f"; {own.num_outside:,} more lie far outside"
    return f"{text}."
