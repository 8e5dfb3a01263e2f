"""The picture of all activation functions."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from dlcli.explaining.activation_curves import ActivationCurve
from dlcli.report.picture import COLORS, INK, Picture, draw

_COLUMNS = 4
_LOWEST, _HIGHEST = -1.6, 3.2  # what of the values is shown


def draw_activations(curves: Sequence[ActivationCurve]) -> Picture:
    """Draw each function and its derivative."""
    rows = -(-len(curves) // _COLUMNS)

    def fill(figure: Figure) -> None:
        panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True).flatten()
        for axes, own in zip(panels, curves, strict=False):
            axes.axhline(0.0, color=INK, linewidth=0.6)
            axes.axvline(0.0, color=INK, linewidth=0.6)
            axes.plot(own.inputs, own.values, color=COLORS[0], label="function")
            axes.plot(own.inputs, own.slopes, color=COLORS[1], linestyle="--", label="derivative")
            axes.set_title(own.name)
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        panels[0].set_ylim(_LOWEST, _HIGHEST)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)

    names = ", ".join(own.name for own in curves)
    return draw(
        "activation-functions",
        "Activation functions",
        f"The activation functions that a layer can have, each with its derivative, from -5 to 5: "
        f"{names}. softmax is that of one logit beside another one of 0.",
        fill,
        size=(8.5, 0.6 + 1.8 * rows),
    )
