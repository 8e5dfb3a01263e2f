"""What a chart shows: panels with axes, and marks in them, in the data's units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

Numbers: TypeAlias = Sequence[float] | np.ndarray
# A number of the palette, "ink" (the colour of text), or on images one that is the same in dark
# pages: "black", "white" or "#" with its red, green and blue.
Color: TypeAlias = int | str
Shape: TypeAlias = Literal["dot", "diamond", "square", "triangle", "cross", "star"]

# Okabe and Ito (2008): safe for colour-blind readers. Their yellow is left out, which is too light
# for a line; further lines differ by their dashes.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
NUM_COLORS, NUM_DASHES = len(COLORS), 4


@dataclass(frozen=True)
class Line:
    """A line through points; where a value is not finite, it has a gap."""

    x: Numbers
    y: Numbers
    name: str = ""  # in the legend
    color: Color = 0
    dashes: int = 0  # 0: solid
    width: float = 1.8
    opacity: float = 1.0
    is_marked: bool = False  # with a dot at each point
    has_tooltip: bool = True  # of its values


@dataclass(frozen=True)
class Band:
    """The area between two lines."""

    x: Numbers
    low: Numbers
    high: Numbers
    color: Color = 0
    opacity: float = 0.18


@dataclass(frozen=True)
class Dots:
    """Points."""

    x: Numbers
    y: Numbers
    name: str = ""
    color: Color = 0
    shape: Shape = "dot"
    size: float = 6.0  # diameter
    opacity: float = 1.0
    has_tooltip: bool = True
    has_edge: bool = False  # a black one, which tells them from an image


@dataclass(frozen=True)
class Rule:
    """A line through the whole panel."""

    at: float
    axis: Literal["x", "y"]  # where `at` is found
    name: str = ""
    color: Color = "ink"
    dashes: int = 0
    width: float = 1.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Spans:
    """Straight segments from (x0, y0) to (x1, y1): intervals."""

    x0: Numbers
    y0: Numbers
    x1: Numbers
    y1: Numbers
    color: Color = 0
    width: float = 1.2
    opacity: float = 1.0


@dataclass(frozen=True)
class Box:
    """A rectangle, with words in it and words about it."""

    x0: float
    y0: float
    x1: float
    y1: float
    color: Color = 0
    opacity: float = 1.0
    text: str = ""
    note: str = ""  # the tooltip


@dataclass(frozen=True)
class Boxes:
    """Rectangles: bars, or the cells of a matrix."""

    boxes: Sequence[Box]
    is_small: bool = False  # the words


@dataclass(frozen=True)
class Raster:
    """An image over a rectangle, each pixel sharp unless it is a photograph."""

    pixels: np.ndarray  # [height, width, 3 or 4], uint8, from the top
    x0: float
    y0: float  # its lower edge
    x1: float
    y1: float
    note: str = ""
    is_photo: bool = False  # not sharp, and a JPEG where it is opaque


@dataclass(frozen=True)
class Label:
    """A word around a point."""

    x: float
    y: float
    text: str
    has_halo: bool = True  # in black on white, to be read on an image


Mark: TypeAlias = Line | Band | Dots | Rule | Spans | Boxes | Raster | Label


@dataclass(frozen=True)
class Axis:
    """One direction of a panel; limits that are None follow from the marks."""

    label: str = ""
    low: float | None = None
    high: float | None = None
    is_log: bool = False
    is_integer: bool = False
    is_flipped: bool = False  # the lowest value at the top, or at the right
    ticks: Sequence[tuple[float, str]] | None = None  # None: round numbers; empty: none
    turned: Literal[0, 40, 90] = 0  # degrees, of an x axis' tick labels
    max_ticks: int = 6
    has_grid: bool = True
    is_hidden: bool = False  # its numbers and its name, as the panel below has them


@dataclass(frozen=True)
class Panel:
    """Marks between two axes, later ones on top."""

    marks: Sequence[Mark]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    title: str = ""
    captions: Sequence[str] = ()  # lines below it
    is_square: bool = False  # one unit of x is as long as one of y
    is_bare: bool = False  # without axes


@dataclass(frozen=True)
class Chart:
    """Rows of panels under one legend."""

    rows: Sequence[Sequence[Panel]]
    height: float = 340.0  # of the panels together; the width is 640
    heights: Sequence[float] = ()  # the rows' shares; empty: the same
    widths: Sequence[float] = ()  # the columns' shares
    legend_title: str = ""
    is_one_column: bool = False  # the legend: an entry a line

    @property
    def entries(self) -> list[Line | Dots | Rule]:
        """The marks that the legend names, each name once."""
        found: dict[str, Line | Dots | Rule] = {}
        for panel in (panel for row in self.rows for panel in row):
            for mark in panel.marks:
                if isinstance(mark, Line | Dots | Rule) and mark.name:
                    found.setdefault(mark.name, mark)
        return list(found.values())


def line_style(index: int) -> tuple[int, int]:
    """Return the colour and the dashes of a line by its number."""
    return index % NUM_COLORS, index // NUM_COLORS % NUM_DASHES
