"""Where the panels of a chart and the entries of its legend are, in units of the SVG."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlcli.report.charts.chart import Chart, Panel
from dlcli.report.charts.scale import Scale, scales_of

WIDTH = 640.0
LETTER, LINE = 8.4, 20.0  # widths and heights of text, with room for a phone's larger letters
_GAP = 20.0  # between panels
_AT_END, _APART = 0.08, 8.0  # of a panel's width; between two numbers
_TICK = 22.0  # below a panel, for its numbers
LABEL = 20.0  # for the name of an axis
KEY = 34.0  # of a legend's entry, before its name
_TURNED = {0: 0.0, 40: 0.66, 90: 1.0}  # of a label's length that is its height


@dataclass(frozen=True)
class Frame:
    """A panel, and where its axes are."""

    panel: Panel
    x: Scale
    y: Scale
    left: float
    top: float
    width: float
    height: float
    margin: float  # to the left, the same in all panels of a column

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Where it ends, without its numbers."""
        return self.top + self.height

    def across(self, values: object) -> np.ndarray:
        """Return where values along x are."""
        return self.left + self.width * self.x.place(values)

    def down(self, values: object) -> np.ndarray:
        """Return where values along y are."""
        return self.top + self.height * (1.0 - self.y.place(values))

    def ends_across(self, values: object) -> np.ndarray:
        """Return where ends along x are, just outside where they are far from the panel."""
        return self.left + self.width * _near(self.x.place(values))

    def ends_down(self, values: object) -> np.ndarray:
        """Return where ends along y are, just outside where they are far from the panel."""
        return self.top + self.height * (1.0 - _near(self.y.place(values)))


def _near(places: np.ndarray) -> np.ndarray:
    """Return places no farther out than a panel's length: 0 has no place on a logarithmic axis."""
    near: np.ndarray = np.clip(places, -1.0, 2.0)
    return near


def frames_of(chart: Chart, top: float) -> Iterator[Frame]:
    """Yield the panels in rows from `top` on; those of a column are below each other."""
    heights = chart.heights or [1.0] * len(chart.rows)
    widths = chart.widths or [1.0] * max(map(len, chart.rows))
    num_columns = len(widths)
    lefts = [
        max(
            (
                max(room_left_of(row[column]), _room_between(*row[max(0, column - 1) : column + 1]))
                for row in chart.rows
                if column < len(row)
            ),
            default=4.0,
        )
        for column in range(num_columns)
    ]
    room = WIDTH - sum(lefts) - _GAP * num_columns
    for row, share in zip(chart.rows, heights, strict=True):
        height = chart.height * share / sum(heights)
        top += LINE if any(panel.title for panel in row) else 0.0
        left = 0.0
        for panel, margin, part in zip(row, lefts, widths, strict=False):
            width = room * part / sum(widths)
            yield _frame(panel, (left + margin, top), (width, height), margin)
            left += margin + width + _GAP
        top += height + max(map(room_below, row)) + _GAP


def _frame(
    panel: Panel, corner: tuple[float, float], size: tuple[float, float], margin: float
) -> Frame:
    x, y = scales_of(panel)
    width, height = size
    if panel.is_square:
        unit = min(width / (x.high - x.low), height / (y.high - y.low))
        width, height = unit * (x.high - x.low), unit * (y.high - y.low)
    return Frame(panel, x, y, *corner, width, height, margin)


def room_left_of(panel: Panel) -> float:
    """Return the room for an axis' numbers and its name."""
    if panel.y.is_hidden or panel.is_bare:
        return 4.0
    longest = max((len(text) for _, text in scales_of(panel)[1].ticks), default=0)
    return 8.0 + LETTER * longest + (LABEL if panel.y.label else 0.0)


def _room_between(left: Panel, right: Panel | None = None) -> float:
    """Return the room that the numbers of panels side by side need beside the gap; 0: enough."""
    if right is None or any(panel.x.is_hidden or panel.is_bare for panel in (left, right)):
        return 0.0
    halves = [
        LETTER * len(text) / 2
        for panel, end in ((left, 1.0), (right, 0.0))
        for value, text in scales_of(panel)[0].ticks
        if panel.x.turned == 0 and abs(float(scales_of(panel)[0].place(value)) - end) < _AT_END
    ]
    return max(0.0, sum(halves) + _APART - _GAP)


def room_below(panel: Panel) -> float:
    """Return the room for an axis' numbers and its name."""
    captions = LINE * len(panel.captions)
    if panel.x.is_hidden or panel.is_bare:
        return captions + 4.0
    ticks = scales_of(panel)[0].ticks
    longest = max((len(text) for _, text in ticks), default=0)
    room = max(_TICK, _TURNED[panel.x.turned] * longest * LETTER + 10) if ticks else 4.0
    return captions + room + (LABEL if panel.x.label else 0.0)


def legend_places(chart: Chart) -> tuple[list[tuple[float, float]], float]:
    """Return where each entry of the legend begins, in columns, and where the panels begin."""
    top = LINE if chart.legend_title else 0.0
    names = [entry.name for entry in chart.entries]
    if not names:
        return [], top + 8.0
    width = KEY + LETTER * max(map(len, names)) + 12
    columns = 1 if chart.is_one_column else max(1, min(len(names), int(WIDTH // width)))
    places = [
        (index % columns * width, top + index // columns * LINE + LINE / 2)
        for index in range(len(names))
    ]
    return places, top + -(-len(names) // columns) * LINE + 8.0
