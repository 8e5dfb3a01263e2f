"""Parts that several charts have."""

from collections.abc import Callable

import numpy as np

from dlcli.report.charts.chart import Axis, Panel, Raster

SHADES = 64  # of a colour scale: more can't be seen


def color_scale(
    colors: Callable[[np.ndarray], np.ndarray], low: float, high: float, label: str
) -> Panel:
    """Return a narrow panel that says which colour stands for which value."""
    high = high if high > low else low + 1.0
    shares = np.linspace(1.0, 0.0, SHADES)[:, np.newaxis]
    return Panel(
        (Raster(colors(shares), 0.0, low, 1.0, high),),
        Axis(low=0.0, high=1.0, is_hidden=True, ticks=()),
        Axis(label, low, high, has_grid=False),
    )
