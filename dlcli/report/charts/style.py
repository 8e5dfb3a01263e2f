"""The style of what matplotlib draws."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

INK = "#26282b"  # of text and axes; in a page, the colour of its text
DASHES = ("-", "--", "-.", ":")
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


@contextmanager
def styled(salt: str = "") -> Iterator[None]:
    """Give all that is drawn meanwhile the style of pages."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt or None}), warnings.catch_warnings():
        # A character that the font lacks is a box in the PNG; in the page, the browser draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
