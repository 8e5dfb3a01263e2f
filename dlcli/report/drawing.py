"""Pictures that matplotlib draws."""

import re
from collections.abc import Callable
from io import BytesIO

from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dlcli.report.charts.chart import COLORS
from dlcli.report.charts.style import INK, styled
from dlcli.report.picture import Picture

_DPI = 150  # of the PNG


def draw(
    name: str,
    title: str,
    text: str,
    fill: Callable[[Figure], None],
    *,
    size: tuple[float, float] = (7.5, 4.2),
) -> Picture:
    """Draw a picture of a size in inches; `fill` puts the axes into the figure."""
    with styled(salt=name):
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        fill(figure)
        file = BytesIO()
        _show_background(figure, is_shown=False)  # that of the page
        # Not with `savefig`, which draws each figure twice to find out its size.
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")  # the layout is done

    def draw_png() -> bytes:
        with styled():
            png = BytesIO()
            _show_background(figure, is_shown=True)
            FigureCanvasAgg(figure).print_png(png)  # type: ignore[no-untyped-call]
        return png.getvalue()

    return Picture(name, title, text, _element(name, file.getvalue().decode()), draw_png)


def _show_background(figure: Figure, *, is_shown: bool) -> None:
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(is_shown)


def _element(name: str, svg: str) -> str:
    """Return matplotlib's SVG as an element of a page, in the page's colours."""
    element = svg[svg.index("<svg") :].strip()
    # A page holds several pictures, and ids must be unique in it.
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", element)
    element = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", element, count=1)
    element = element.replace(INK, "currentColor")
    for index, color in enumerate(COLORS):
        element = element.replace(color, f"var(--c{index})")
    return element


def scale_logarithmically(axis: Axis, max_ticks: int = 6) -> None:
    """Give an axis a logarithmic scale with plain numbers."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogLocator(numticks=max_ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")
