"""The picture of all activation functions."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from dlcli.explaining.activation_curves import ActivationCurve
from dlcli.report.charts.chart import COLORS
from dlcli.report.charts.style import INK
from dlcli.report.drawing import draw
from dlcli.report.picture import Picture

_COLUMNS = 4
_MIN_Y, _MAX_Y = -1.6, 3.2  # range that is shown


def draw_activations(curves: Sequence[ActivationCurve]) -> Picture:
    """Draw each function and its derivative."""
    rows = -(-len(curves) // _COLUMNS)

    def fill(figure: Figure) -> None:
        panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True).flatten()
        for axes, curve in zip(panels, curves, strict=False):
            axes.axhline(0.0, color=INK, linewidth=0.6)
            axes.axvline(0.0, color=INK, linewidth=0.6)
            axes.plot(curve.inputs, curve.values, color=COLORS[0], label="function")
            axes.plot(
                curve.inputs, curve.slopes, color=COLORS[1], linestyle="--", label="derivative"
            )
            axes.set_title(curve.name)
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        panels[0].set_ylim(_MIN_Y, _MAX_Y)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)

    names = ", ".join(curve.name for curve in curves)
    return draw(
        "activation-functions",
        "Activation functions",
        f"The activation functions of layers, each with its derivative, from -5 to 5: {names}. "
        "softmax: the probability of one logit next to another one of 0.",
        fill,
        size=(8.5, 0.6 + 1.8 * rows),
    )
