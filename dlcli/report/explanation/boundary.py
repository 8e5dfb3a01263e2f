"""Predictions over the plane of two numeric columns, and the decision boundary."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcli.explaining.reasons.boundary import Boundary, InputPlane, Points
from dlcli.explaining.reasons.explanation import Explanation
from dlcli.numbers import percent_text
from dlcli.report.charts.chart import (
    COLORS,
    Axis,
    Chart,
    Color,
    Dots,
    Line,
    Mark,
    Panel,
    Raster,
    Shape,
)
from dlcli.report.charts.contours import contour
from dlcli.report.charts.parts import color_scale
from dlcli.report.charts.pixels import from_dark_to_bright
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened
from dlcli.report.text import NAME, equation_of, named, prediction_name, rows_of, value_text
from dlcli.targets.base import Target

_MAX_COLORED = 6  # classes; all others share a colour
_OTHERS: Color = 6
_SHAPES: tuple[Shape, ...] = ("dot", "square", "diamond", "triangle", "star", "cross")
_MAX_OPACITY = 0.45  # of a region
_SHADES = 16  # of true numbers
_SMALL, _LARGE = 5.0, 8.0  # training rows and held-out rows
_LEVELS = ((0.1, 3, 1.2), (0.5, 0, 2.0), (0.9, 1, 1.2))  # with the dashes and width of their lines


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
    x, y = (
        Axis(shortened(name, NAME), float(ends[0]), float(ends[-1]), has_grid=False)
        for name, ends in zip(found.plane.names, (found.plane.x, found.plane.y), strict=True)
    )
    if not target.class_names:
        low, high = _span(found)
        label = f"{shortened(target.name, NAME)}: predicted (plane) and true (points)"
        scale = color_scale(from_dark_to_bright, low, high, label)
        panel = Panel(tuple(_number_marks(found, low, high)), x, y)
        chart = Chart(((panel, scale),), 400.0, widths=(24.0, 1.0))
    elif len(target.class_names) == 2:
        chart = Chart(((Panel(tuple(_marks_of_two(found, target)), x, y),),), 400.0)
    else:
        chart = Chart(((Panel(tuple(_marks_of_several(found, target)), x, y),),), 400.0)
    is_number = not target.class_names
    title = "Predictions over the input plane" if is_number else "Decision boundary"
    return chart_picture("boundary", title, _caption(found, target), chart)


def _span(found: Boundary) -> tuple[float, float]:
    """Return the lowest and the highest number that has a colour: nearly all of them are within."""
    truth = np.concatenate([points.truth for points in found.points])
    low, high = np.quantile(found.predictions, [0.01, 0.99]).tolist()
    return min(low, truth.min(initial=low)), max(high, truth.max(initial=high))


def _number_marks(found: Boundary, low: float, high: float) -> Iterator[Mark]:
    """Yield predicted numbers as the plane's colours, and true ones as those of the points."""
    span = high - low or 1.0
    yield _raster(found.plane, from_dark_to_bright((found.predictions - low) / span))
    for points in found.points:
        is_train = points.part == "train"
        shape: Shape = "dot" if is_train else "diamond"
        size = _SMALL if is_train else _LARGE
        yield Dots([], [], rows_of(points.part), _OTHERS, shape, size)
        yield Dots(points.x, points.y, "", "white", shape, size + 2, has_tooltip=False)
        shares = np.round((points.truth - low) / span * (_SHADES - 1)) / (_SHADES - 1)
        for share in np.unique(shares).tolist():
            is_shade = shares == share
            color = "#" + bytes(from_dark_to_bright(np.array(share))).hex()
            x, y = points.x[is_shade], points.y[is_shade]
            yield Dots(x, y, "", color, shape, size, has_tooltip=False)


def _marks_of_two(found: Boundary, target: Target) -> Iterator[Mark]:
    """Yield the probability of the second class as colours and lines, and the rows."""
    plane, second = found.plane, found.predictions[:, :, 1]
    certainty = _MAX_OPACITY * np.abs(2.0 * second - 1.0)
    yield _raster(plane, _colored_pixels(np.where(second > 0.5, 1, 0), certainty))
    for level, dashes, width in _LEVELS:
        x, y = contour(plane.x, plane.y, second, level)
        yield Line(x, y, f"probability {level:g}", "ink", dashes, width, has_tooltip=False)
    yield from _class_marks(found.points, target, [0, 1])


def _marks_of_several(found: Boundary, target: Target) -> Iterator[Mark]:
    """Yield the regions of classes, the lines between them, and the rows."""
    plane, best = found.plane, found.predictions.argmax(axis=2)
    colored = _colored(best, target)
    colors = np.vectorize(lambda index: _color(index, colored), otypes=[np.int64])(best)
    opacity = 0.1 + (_MAX_OPACITY - 0.1) * found.predictions.max(axis=2)
    yield _raster(plane, _colored_pixels(colors, opacity))
    regions = np.unique(best).tolist()
    for index in regions[:-1] if len(regions) == 2 else regions:
        rest = np.delete(found.predictions, index, axis=2).max(axis=2)
        x, y = contour(plane.x, plane.y, found.predictions[:, :, index] - rest, 0.0)
        yield Line(x, y, "", "ink", width=1.2, has_tooltip=False)
    yield from _class_marks(found.points, target, colored)


def _raster(plane: InputPlane, pixels: np.ndarray) -> Raster:
    """Return pixels [y, x, channels], each around its point of the plane."""
    x, y = (float(axis[1] - axis[0]) / 2 for axis in (plane.x, plane.y))
    left, bottom = float(plane.x[0]) - x, float(plane.y[0]) - y
    return Raster(pixels[::-1], left, bottom, float(plane.x[-1]) + x, float(plane.y[-1]) + y)


def _colored_pixels(colors: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Return pixels, uint8 [y, x, 4], of numbers of the palette and opacities [y, x]."""
    palette = np.array([list(bytes.fromhex(color[1:])) for color in COLORS], np.uint8)
    shade = np.rint(255 * opacity).astype(np.uint8)[..., np.newaxis]
    return np.concatenate([palette[colors], shade], axis=-1)


def _class_marks(parts: Sequence[Points], target: Target, colored: Sequence[int]) -> Iterator[Dots]:
    """Yield rows by class: training rows small, held-out rows large and with an edge."""
    for index in colored:
        name = shortened(target.class_names[index], 18)
        yield Dots([], [], name, _color(index, colored), _shape(index, colored), _LARGE)
    if len(target.class_names) > len(colored):
        yield Dots([], [], "other classes", _OTHERS, "dot", _LARGE)
    for points in parts:
        is_train = points.part == "train"
        size = _SMALL if is_train else _LARGE
        yield Dots([], [], rows_of(points.part), _OTHERS, "dot", size, has_edge=not is_train)
        for index in np.unique(points.truth).tolist():
            is_class = points.truth == index
            yield Dots(
                points.x[is_class],
                points.y[is_class],
                "",
                _color(index, colored),
                _shape(index, colored),
                size,
                0.8 if is_train else 1.0,
                has_tooltip=False,
                has_edge=not is_train,
            )


def _colored(best: np.ndarray, target: Target) -> list[int]:
    """Return the classes that have a colour to themselves: those with the largest regions."""
    areas = np.bincount(best.ravel(), minlength=len(target.class_names))
    order = np.lexsort((-np.array(target.class_counts), -areas))
    return sorted(order[:_MAX_COLORED].tolist())


def _color(index: int, colored: Sequence[int]) -> Color:
    return colored.index(index) if index in colored else _OTHERS


def _shape(index: int, colored: Sequence[int]) -> Shape:
    return _SHAPES[colored.index(index)] if index in colored else "dot"


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
