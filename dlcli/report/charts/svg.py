"""A chart → one SVG element, whose colours are the page's."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape

import numpy as np

from dlcli.numbers import number_text
from dlcli.report.charts.chart import (
    NUM_COLORS,
    NUM_DASHES,
    Band,
    Box,
    Boxes,
    Chart,
    Color,
    Dots,
    Label,
    Line,
    Mark,
    Raster,
    Rule,
    Spans,
)
from dlcli.report.charts.layout import (
    KEY,
    LABEL,
    LINE,
    WIDTH,
    Frame,
    frames_of,
    legend_places,
    room_below,
)
from dlcli.report.charts.pixels import jpeg_of, png_of

_TOOLTIP_DIGITS = 4
_MANY_DOTS, _LAYERS = 1_000, 6
_EDGE, _CROSS = 3.0, 2  # the width of a symbol's edge on both sides, and of a cross' lines
_LETTER = 9.0  # the width of a letter of text that is cut off where it is too long


def chart_svg(chart: Chart) -> str:
    """Return the element; names in it are text, whatever they contain."""
    places, top = legend_places(chart)
    frames = list(frames_of(chart, top))
    bottom = max(frame.bottom + room_below(frame.panel) for frame in frames)
    legend = _legend(chart, places)
    body = "".join([*legend, *("".join(_panel(frame)) for frame in frames)])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" '
        f'viewBox="0 0 {WIDTH:g} {bottom + 4:.0f}">{body}</svg>'
    )


def _legend(chart: Chart, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    if chart.legend_title:
        yield _text(0, 13, chart.legend_title, "s")
    for entry, (x, y) in zip(chart.entries, places, strict=True):
        match entry:
            case Line() | Rule():
                style = _stroke(entry.color, entry.dashes, entry.width, entry.opacity)
                yield f'<path {style} d="M{x:.1f} {y:.1f}h{KEY - 8:g}"/>'
                if isinstance(entry, Line) and entry.is_marked:
                    middle = x + KEY / 2 - 4
                    yield _symbols(Dots([], [], color=entry.color), [middle], [y])
            case Dots():
                yield _symbols(entry, [x + KEY / 2 - 4], [y])
        yield _text(x + KEY, y + 4, entry.name, "s")


def _panel(frame: Frame) -> Iterator[str]:
    x, y = _plain(frame.panel.x.label), _plain(frame.panel.y.label)
    yield f'<g class="panel" data-x="{x}" data-y="{y}">'
    yield from _words(frame)
    if not frame.panel.is_bare:
        yield from _axes(frame)
    numbers = (frame.left - 2, frame.top - 2, frame.width + 4, frame.height + 4)
    left, top, width, height = (f"{number:.1f}" for number in numbers)
    place = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    # An inner element cuts off what lies outside of it.
    yield f'<svg {place} viewBox="{left} {top} {width} {height}"><rect class="hit" {place}/>'
    for mark in frame.panel.marks:
        yield from _mark(mark, frame)
    yield "</svg></g>"


def _words(frame: Frame) -> Iterator[str]:
    panel, room = frame.panel, frame.width + 10
    if panel.title:
        yield _text(frame.left, frame.top - 6, _fitting(panel.title, room), "title")
    top = frame.bottom + room_below(panel) - LINE * len(panel.captions)
    for index, caption in enumerate(panel.captions):
        yield _text(frame.left, top + LINE * index + 12, _fitting(caption, room), "s")


def _axes(frame: Frame) -> Iterator[str]:
    panel = frame.panel
    grid = []
    for value, text in frame.x.ticks:
        at = float(frame.across(value))
        if panel.x.has_grid:
            grid.append(f"M{at:.1f} {frame.top:.1f}V{frame.bottom:.1f}")
        if not panel.x.is_hidden:
            yield _tick(at, frame.bottom, text, panel.x.turned)
    for value, text in frame.y.ticks:
        at = float(frame.down(value))
        if panel.y.has_grid:
            grid.append(f"M{frame.left:.1f} {at:.1f}H{frame.right:.1f}")
        if not panel.y.is_hidden:
            yield _text(frame.left - 5, at + 4, text, "s", "end")
    yield f'<path class="grid" d="{"".join(grid)}"/>'
    corner = f"M{frame.left:.1f} {frame.top:.1f}V{frame.bottom:.1f}H{frame.right:.1f}"
    yield f'<path class="axis" d="{corner}"/>'
    if panel.x.label and not panel.x.is_hidden:
        middle = frame.left + frame.width / 2
        down = frame.bottom + room_below(panel) - LINE * len(panel.captions) - 5
        yield _text(middle, down, _fitting(panel.x.label, frame.width + 20), "", "middle")
    if panel.y.label and not panel.y.is_hidden:
        x = frame.left - frame.margin + LABEL - 6
        y = frame.top + frame.height / 2
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"'
        yield _text(x, y, _fitting(panel.y.label, frame.height), "", "middle", turn)


def _tick(x: float, bottom: float, text: str, turned: int) -> str:
    if not turned:
        return _text(x, bottom + 17, text, "s", "middle")
    x, y = (x + 4, bottom + 6) if turned == 90 else (x + 4, bottom + 11)
    return _text(x, y, text, "s", "end", f' transform="rotate(-{turned} {x:.1f} {y:.1f})"')


def _mark(mark: Mark, frame: Frame) -> Iterator[str]:
    match mark:
        case Band():
            path = "".join(_areas(mark, frame))
            yield f'<path {_paint("fill", mark.color)}{_opacity(mark.opacity)} d="{path}"/>'
        case Line():
            x, y = frame.across(mark.x), frame.down(mark.y)
            style = _stroke(mark.color, mark.dashes, mark.width, mark.opacity)
            tooltip = _tooltip(mark, x, y) if mark.has_tooltip else ""
            yield f'<path {style}{tooltip} d="{_path(x, y)}"/>'
            if mark.is_marked or len(x) == 1:
                yield _symbols(Dots([], [], color=mark.color, size=5.0), x, y)
        case Dots():
            x, y = frame.across(mark.x), frame.down(mark.y)
            yield _symbols(mark, x, y, _tooltip(mark, x, y) if mark.has_tooltip else "")
        case Rule():
            if mark.axis == "x":
                path = f"M{float(frame.across(mark.at)):.1f} {frame.top:.1f}v{frame.height:.1f}"
            else:
                path = f"M{frame.left:.1f} {float(frame.down(mark.at)):.1f}h{frame.width:.1f}"
            yield f'<path {_stroke(mark.color, mark.dashes, mark.width, mark.opacity)} d="{path}"/>'
        case Spans():
            across, down = frame.ends_across, frame.ends_down
            ends = [across(mark.x0), down(mark.y0), across(mark.x1), down(mark.y1)]
            path = "".join(
                f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"
                for x0, y0, x1, y1 in np.column_stack(ends).tolist()
                if np.isfinite([x0, y0, x1, y1]).all()
            )
            yield f'<path {_stroke(mark.color, 0, mark.width, mark.opacity)} d="{path}"/>'
        case Boxes():
            yield from _boxes(mark, frame)
        case Raster():
            place = _corners(mark, frame)
            sharp = "" if mark.is_photo else ' class="pixels"'
            yield f'<image{sharp} {place} preserveAspectRatio="none" '
            yield f'href="{_data_uri(mark)}">{_note(mark.note)}</image>'
        case Label():
            left, top = float(frame.across(mark.x)), float(frame.down(mark.y)) + 4
            yield _text(left, top, mark.text, "s on" if mark.has_halo else "s", "middle")


def _data_uri(mark: Raster) -> str:
    is_jpeg = mark.is_photo and not (mark.pixels[..., 3:] < 255).any()
    form, data = ("jpeg", jpeg_of(mark.pixels)) if is_jpeg else ("png", png_of(mark.pixels))
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"


def _areas(mark: Band, frame: Frame) -> Iterator[str]:
    """Yield the outline of each stretch without a gap."""
    ends = [frame.across(mark.x), frame.ends_down(mark.low), frame.ends_down(mark.high)]
    known = np.isfinite(np.array(ends)).all(axis=0)
    for start in np.flatnonzero(known & ~np.append(False, known[:-1])).tolist():
        length = int(np.append(known[start:], False).argmin())
        x, low, high = (numbers[start : start + length] for numbers in ends)
        yield f"{_path(np.append(x, x[::-1]), np.append(low, high[::-1]))}z"


def _boxes(mark: Boxes, frame: Frame) -> Iterator[str]:
    """Yield rectangles: as one path those of a colour that have no words."""
    plain: dict[str, list[str]] = {}
    for box in mark.boxes:
        style = f"{_paint('fill', box.color)}{_opacity(box.opacity)}"
        if box.text or box.note:
            yield f"<rect {style} {_corners(box, frame)}>{_note(box.note)}</rect>"
        else:
            left, top, width, height = _rectangle(box, frame)
            path = f"M{left:.1f} {top:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
            plain.setdefault(style, []).append(path)
        if box.text:
            left, top, width, height = _rectangle(box, frame)
            size = "s" if mark.is_small else ""
            yield _text(left + width / 2, top + height / 2 + 4, box.text, size, "middle")
    for style, paths in plain.items():
        yield f'<path {style} d="{"".join(paths)}"/>'


def _corners(mark: Box | Raster, frame: Frame) -> str:
    left, top, width, height = _rectangle(mark, frame)
    return f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'


def _rectangle(mark: Box | Raster, frame: Frame) -> tuple[float, float, float, float]:
    left, right = sorted(frame.ends_across([mark.x0, mark.x1]).tolist())
    top, bottom = sorted(frame.ends_down([mark.y0, mark.y1]).tolist())
    return left, top, right - left, bottom - top


def _note(note: str) -> str:
    return f"<title>{_plain(note)}</title>" if note else ""


def _symbols(
    dots: Dots, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, tooltip: str = ""
) -> str:
    """Return all points as one path, over a larger black one where they have an edge."""
    if dots.has_edge:
        below = replace(dots, color="black", size=dots.size + _EDGE, has_edge=False)
        thick = _symbols(below, x, y).replace(f'stroke-width="{_CROSS}"', 'stroke-width="5"')
        return thick + _symbols(replace(dots, has_edge=False), x, y, tooltip)
    size, half, color = f"{dots.size:g}", f"{dots.size / 2:g}", dots.color
    match dots.shape:
        case "dot":  # the round end of a line without a length
            end, style = "h0", f'{_paint("dots", color)} stroke-width="{size}"'
        case "diamond":
            end = f"m0 {half}l{half} -{half}l-{half} -{half}l-{half} {half}z"
            style = _paint("fill", color)
        case "square":
            end, style = f"m-{half} -{half}h{size}v{size}h-{size}z", _paint("fill", color)
        case "triangle":
            end, style = f"m-{half} {half}h{size}l-{half} -{size}z", _paint("fill", color)
        case "cross":
            end = f"m-{half} -{half}l{size} {size}m0 -{size}l-{size} {size}"
            style = f'{_paint("line", color)} stroke-width="{_CROSS}"'
        case "star":
            end, style = _star(dots.size / 2), _paint("fill", color)
    known = np.isfinite(x) & np.isfinite(y)
    points = np.column_stack([x, y])[known].tolist()
    # One path is equally opaque wherever it covers itself; several show where dots are many.
    num_paths = _LAYERS if dots.opacity < 1 and len(points) >= _MANY_DOTS else 1
    paths = [
        "".join(f"M{a:.1f} {b:.1f}{end}" for a, b in points[start::num_paths])
        for start in range(num_paths)
    ]
    return "".join(f'<path {style}{_opacity(dots.opacity)}{tooltip} d="{path}"/>' for path in paths)


def _star(radius: float) -> str:
    """Return the outline of a star with five points around a point."""
    angles = np.arange(10) * np.pi / 5
    radii = radius * np.where(np.arange(10) % 2, 0.42, 1.0)
    corners = np.column_stack([np.sin(angles), -np.cos(angles)]) * radii[:, None]
    first, *steps = [corners[0], *np.diff(corners, axis=0)]
    return f"m{first[0]:.1f} {first[1]:.1f}{''.join(f'l{x:.1f} {y:.1f}' for x, y in steps)}z"


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Return a path through points, with a gap where one is not finite."""
    known = np.isfinite(x) & np.isfinite(y)
    starts = known & ~np.append(False, known[:-1])
    points = np.column_stack([x, y, starts])[known].tolist()
    return "".join(
        f"{'M' if first else 'L'}{across:.1f} {down:.1f}" for across, down, first in points
    )


def _tooltip(mark: Line | Dots, x: np.ndarray, y: np.ndarray) -> str:
    """Return attributes with a mark's values, as many as its path has points."""
    known = np.isfinite(x) & np.isfinite(y)
    texts = [
        " ".join(
            number_text(value, _TOOLTIP_DIGITS) for value in np.asarray(values)[known].tolist()
        )
        for values in (mark.x, mark.y)
    ]
    return f' data-name="{_plain(mark.name)}" data-at="{texts[0]}" data-is="{texts[1]}"'


def _stroke(color: Color, dashes: int, width: float, opacity: float) -> str:
    dashed = f" d{dashes % NUM_DASHES}" if dashes % NUM_DASHES else ""
    return f'{_paint("line", color, dashed)} stroke-width="{width:g}"{_opacity(opacity)}'


def _opacity(opacity: float) -> str:
    return f' opacity="{opacity:.3g}"' if opacity < 1 else ""


def _paint(kind: str, color: Color, dashed: str = "") -> str:
    """Return the attributes of an element that is a line, dots or filled, in a colour."""
    if isinstance(color, str) and color.startswith("#"):
        return f'class="{kind}{dashed}" color="{color}"'
    name = color if isinstance(color, str) else f"c{color % NUM_COLORS}"
    return f'class="{kind} {name}{dashed}"'


def _text(
    x: float, y: float, text: str, size: str = "", anchor: str = "", transform: str = ""
) -> str:
    attributes = f' class="{size}"' if size else ""
    attributes += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}{transform}>{_plain(text)}</text>'


def _fitting(text: str, room: float) -> str:
    """Return a text, cut off with … where it is longer than its room."""
    length = max(4, int(room / _LETTER))
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _plain(text: str) -> str:
    """Escape a text for an element or an attribute, without what XML can't hold."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))
