"""Predictions over the plane of two numeric columns, and the decision boundary."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlcli.explaining.reasons.boundary import Boundary, InputPlane, Points
from dlcli.explaining.reasons.explanation import Explanation
from dlcli.numbers import percent_text
from dlcli.report.charts.style import COLORS, INK
from dlcli.report.drawing import draw
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, shortened
from dlcli.report.text import NAME, equation_of, named, prediction_name, rows_of, value_text
from dlcli.targets.base import Target

_MAX_COLORED = 6  # classes; all others share a colour
_MARKERS = "osD^vPX"
_MAX_OPACITY = 0.45  # of a region
SHADES = 64  # of a colour scale: more can't be seen, and take more bytes
_SMALL, _LARGE = 3.5, 6.0  # markers of training rows and of held-out rows


def boundary_section(found: Boundary, explanation: Explanation) -> PageSection:
    """Return the predictions over the input plane, with the equation of a single neuron."""
    sentences = []
    target, equation = explanation.target, found.equation
    if equation is not None:
        text = equation_of(equation, found.plane)
        if not target.class_names:
            sentences.append(f"The network is a single neuron: {named(target.name)} = {text}.")
        else:
            second, first = named(target.class_names[1]), named(target.class_names[0])
            sentences.append(
                f"The network is a single neuron, so its decision boundary is a line: {text} = 0, "
                f"in the data's units. Where the sum is positive it predicts {second}, where it is "
                f"negative {first}; the probability of {second} is 1 / (1 + exp(-sum))."
            )
    if found.has_gaps:
        sentences.append("This holds for rows in which both numbers are known.")
    picture = boundary_picture(found, target)
    return PageSection(picture.title, tuple(sentences), pictures=(picture,))


def boundary_picture(found: Boundary, target: Target) -> Picture:
    """Draw the predictions over the plane, with rows on top."""
    plane = found.plane

    def fill(drawing: Figure) -> None:
        axes = drawing.add_subplot()
        if not target.class_names:
            _draw_number(drawing, axes, found, target)
        elif len(target.class_names) == 2:
            _draw_two(axes, found, target)
        else:
            _draw_several(axes, found, target)
        axes.grid(visible=False)
        axes.set_xlim(plane.x[0], plane.x[-1])
        axes.set_ylim(plane.y[0], plane.y[-1])
        axes.set_xlabel(shortened(plane.names[0], 50))
        axes.set_ylabel(shortened(plane.names[1], 36))

    is_number = not target.class_names
    title = "Predictions over the input plane" if is_number else "Decision boundary"
    return draw("boundary", title, _caption(found, target), fill, size=(7.5, 5.0))


def image_options(plane: InputPlane) -> dict[str, Any]:
    """Return the options with which imshow draws numbers [y, x] over a plane."""
    return {
        "extent": (plane.x[0], plane.x[-1], plane.y[0], plane.y[-1]),
        "origin": "lower",
        "aspect": "auto",
        "interpolation": "bilinear",
        "interpolation_stage": "data",
    }


def _draw_two(axes: Axes, found: Boundary, target: Target) -> None:
    plane, second = found.plane, found.predictions[:, :, 1]
    ends = [to_rgba(COLORS[0], _MAX_OPACITY), to_rgba(COLORS[0], 0.0)]
    ends += [to_rgba(COLORS[1], 0.0), to_rgba(COLORS[1], _MAX_OPACITY)]
    colors = LinearSegmentedColormap.from_list(
        "classes", list(zip([0.0, 0.5, 0.5, 1.0], ends, strict=True)), SHADES
    )
    axes.imshow(second, cmap=colors, vmin=0.0, vmax=1.0, **image_options(plane))
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


def _draw_several(axes: Axes, found: Boundary, target: Target) -> None:
    plane, best = found.plane, found.predictions.argmax(axis=2)
    colored = _colored(best, target)
    alphas = 0.1 + (_MAX_OPACITY - 0.1) * found.predictions.max(axis=2)
    image = np.zeros((*best.shape, 4))
    for index in np.unique(best).tolist():
        image[best == index] = to_rgba(_color(index, colored))
    image[:, :, 3] = alphas
    axes.imshow(image, **{**image_options(plane), "interpolation": "nearest"})
    for index in np.unique(best).tolist()[:-1] if len(np.unique(best)) == 2 else np.unique(best):
        rest = np.delete(found.predictions, index, axis=2).max(axis=2)
        axes.contour(
            plane.x,
            plane.y,
            found.predictions[:, :, index] - rest,
            [0.0],
            colors=INK,
            linewidths=1.2,
        )
    _draw_classes(axes, found.points, target, colored, [])


def _draw_number(drawing: Figure, axes: Axes, found: Boundary, target: Target) -> None:
    truth = np.concatenate([points.truth for points in found.points])
    low, high = np.quantile(found.predictions, [0.01, 0.99])
    norm = Normalize(min(low, truth.min(initial=low)), max(high, truth.max(initial=high)))
    image = axes.imshow(
        found.predictions,
        cmap=colormaps["cividis"].resampled(SHADES),
        norm=norm,
        **image_options(found.plane),
    )
    handles = []
    for points in found.points:
        is_train = points.part == "train"
        size, marker = (_SMALL, "o") if is_train else (_LARGE, "D")
        axes.scatter(
            points.x,
            points.y,
            size**2,
            points.truth,
            marker=marker,
            cmap="cividis",
            norm=norm,
            edgecolors="white",
            linewidths=0.5 if is_train else 1.0,
        )
        handles.append(_legend_entry(marker, COLORS[6], size, rows_of(points.part), edge="white"))
    bar = drawing.colorbar(image, ax=axes)
    bar.set_label(f"{shortened(target.name, NAME)}: predicted (plane) and true (points)")
    drawing.legend(handles=handles, loc="outside upper center", ncols=2)


def _draw_classes(
    axes: Axes,
    parts: Sequence[Points],
    target: Target,
    colored: Sequence[int],
    handles: list[Line2D],
) -> None:
    """Draw rows by class: training rows small, held-out rows large and with an edge."""
    for points in parts:
        is_train = points.part == "train"
        for index in np.unique(points.truth).tolist():
            which = points.truth == index
            axes.plot(
                points.x[which],
                points.y[which],
                _marker(index, colored),
                color=_color(index, colored),
                markersize=_SMALL if is_train else _LARGE,
                markeredgecolor="none" if is_train else INK,
                markeredgewidth=0.8,
                alpha=0.8 if is_train else 1.0,
            )
    names = [target.class_names[index] for index in colored]
    samples = [
        _legend_entry(_marker(index, colored), _color(index, colored), _LARGE, shortened(name, 18))
        for index, name in zip(colored, names, strict=True)
    ]
    if len(target.class_names) > len(colored):
        samples.append(_legend_entry(_MARKERS[-1], COLORS[6], _LARGE, "other classes"))
    for points in parts:
        is_train = points.part == "train"
        size, edge = (_SMALL, "none") if is_train else (_LARGE, INK)
        samples.append(_legend_entry("o", COLORS[6], size, rows_of(points.part), edge=edge))
    axes.legend(handles=[*samples, *handles], loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _legend_entry(
    marker: str, color: str, size: float, label: str, *, edge: str = "none"
) -> Line2D:
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


def _colored(best: np.ndarray, target: Target) -> list[int]:
    """Return the classes that have a colour to themselves: those with the largest regions."""
    areas = np.bincount(best.ravel(), minlength=len(target.class_names))
    order = np.lexsort((-np.array(target.class_counts), -areas))
    return sorted(order[:_MAX_COLORED].tolist())


def _color(index: int, colored: Sequence[int]) -> str:
    return COLORS[colored.index(index)] if index in colored else COLORS[6]


def _marker(index: int, colored: Sequence[int]) -> str:
    return _MARKERS[colored.index(index)] if index in colored else _MARKERS[-1]


def _caption(found: Boundary, target: Target) -> str:
    x, y = (shortened(name, NAME) for name in found.plane.names)
    if not target.class_names:
        low, high = float(found.predictions.min()), float(found.predictions.max())
        text = (
            f"The {prediction_name(target, '')} for each {x} and {y}: from {value_text(low)} to "
            f"{value_text(high)}."
        )
        if found.equation is not None:
            text += f" Equation: {equation_of(found.equation, found.plane)}."
    elif len(target.class_names) == 2:
        share = float((found.predictions[:, :, 1] > 0.5).mean())
        name = target.class_names[1]
        second = shortened(name, NAME)
        text = (
            f"The {prediction_name(target, name)} for each {x} and {y}; on the solid "
            f"line both classes are equally likely. {second} is predicted in "
            f"{percent_text(share)} of the plane."
        )
        if found.equation is not None:
            text += f" Boundary: {equation_of(found.equation, found.plane)} = 0."
    else:
        shares = (
            np.bincount(found.predictions.argmax(axis=2).ravel()) / found.predictions[:, :, 0].size
        )
        largest = np.argsort(-shares, kind="stable")[:_MAX_COLORED]
        listed = [
            f"{shortened(target.class_names[index], NAME)} {percent_text(float(shares[index]))}"
            for index in largest.tolist()
            if shares[index] > 0
        ]
        text = (
            f"The most likely class for each {x} and {y}; stronger colours mean higher "
            f"probabilities. Shares of the plane: {', '.join(listed)}."
        )
    return f"{text} {' '.join(_about(points) for points in found.points)}"


def _about(points: Points) -> str:
    shown, name = len(points.x), rows_of(points.part)
    text = f"{shown:,} of {points.num_rows:,} {name} are drawn"
    if points.num_gaps:
        text += f"; {points.num_gaps:,} more lack a value"
    if points.num_outside:
        text += f"; {points.num_outside:,} more lie far outside"
    return f"{text}."
