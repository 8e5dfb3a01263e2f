"""A picture: drawn by matplotlib, kept as PNG and SVG, shown in a page in the page's colours."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dlcli.files import atomic_file

INK = "#26282b"  # of text and axes; in a page, the colour of its text
# Okabe and Ito (2008): safe for colour-blind readers. Their yellow is left out, which is too light
# for a line; further lines differ by their dashes.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
DASHES = ("-", "--", "-.", ":")
_DPI = 150  # of the PNG
_STYLE: Any = {  # by matplotlib's names, of which its stubs know each one
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is just a $
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Picture:
    """A figure in two formats, and in words."""

    name: str  # of its files
    title: str
    text: str  # the caption, which says what the picture shows
    png: bytes
    svg: str

    @property
    def inline(self) -> str:
        """The SVG as an element of a page, its ink in the colour of the page's text."""
        element = self.svg[self.svg.index("<svg") :].strip()
        # A page holds several pictures, and ids must be unique in it.
        element = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{self.name}-", element)
        element = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", element, count=1)
        return element.replace(INK, "currentColor")


def draw(
    name: str,
    title: str,
    text: str,
    fill: Callable[[Figure], None],
    *,
    size: tuple[float, float] = (7.5, 4.2),
) -> Picture:
    """Draw a picture of a size in inches; `fill` puts the axes into the figure."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # A character that the font lacks is a box in the PNG; in the page, the browser draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        fill(figure)
        png, svg = BytesIO(), BytesIO()
        # Not with `savefig`, which draws each figure twice to find out its size.
        FigureCanvasAgg(figure).print_png(png)  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")  # the layout is done
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set_visible(False)  # the page is the background
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return Picture(name, title, text, png.getvalue(), svg.getvalue().decode())


def save_pictures(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write each as PNG and SVG; StorageError."""
    for picture in pictures:
        with atomic_file(folder / f"{picture.name}.png") as file:
            file.write(picture.png)
        with atomic_file(folder / f"{picture.name}.svg") as file:
            file.write(picture.svg.encode())


def scale_logarithmically(axis: Axis, max_ticks: int = 6) -> None:
    """Give an axis a logarithmic scale with plain numbers."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogLocator(numticks=max_ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def shortened(text: str, length: int) -> str:
    """Return a text, cut off with … where it is too long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def line_style(index: int) -> dict[str, Any]:
    """Return the colour and dashes of a line by its number."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": DASHES[index // len(COLORS) % len(DASHES)],
    }
