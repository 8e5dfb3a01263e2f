"""A picture of a page: an SVG in the page's colours, and other forms where asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.files import atomic_file
from dlcli.report.charts.chart import Chart
from dlcli.report.charts.svg import chart_svg

_PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Picture:
    """A figure as an SVG element, and in words."""

    name: str  # of its files
    title: str
    text: str  # the caption, which says what the picture shows
    svg: str
    draw_png: Callable[[], bytes]

    @property
    def file(self) -> str:
        """The SVG by itself, with the colours that a page would give it."""
        start = self.svg.index(">") + 1
        style = f"<style>{asset('chart.css')}</style>"
        return f"{_PROLOG}{self.svg[:start]}{style}{self.svg[start:]}"


def chart_picture(name: str, title: str, text: str, chart: Chart) -> Picture:
    """Draw a chart; without matplotlib, unless its PNG is asked for."""

    def draw_png() -> bytes:
        from dlcli.report.charts.png import chart_png

        return chart_png(chart)

    return Picture(name, title, text, chart_svg(chart), draw_png)


def save_pictures(folder: Path, pictures: Sequence[Picture], *, with_png: bool = True) -> None:
    """Write each as an SVG, and as a PNG, which takes much longer, where asked; StorageError."""
    for picture in pictures:
        if with_png:
            with atomic_file(folder / f"{picture.name}.png") as file:
                file.write(picture.draw_png())
        with atomic_file(folder / f"{picture.name}.svg") as file:
            file.write(picture.file.encode())


def asset(name: str) -> str:
    """Return the text of a file that is put into pages."""
    return (_TEMPLATES / name).read_text("utf-8")


def shortened(text: str, length: int) -> str:
    """Return a text, cut off with … where it is too long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
