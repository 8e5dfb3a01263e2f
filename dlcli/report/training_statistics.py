"""What was seen inside of a network while it trained, as a part of a page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.training_statistics import (
    EpochStatistics,
    LayerStatistics,
    ParameterStatistics,
)
from dlcli.report.page import PageSection
from dlcli.report.picture import (
    COLORS,
    INK,
    Picture,
    draw,
    line_style,
    scale_logarithmically,
    shortened,
)
from dlcli.report.table import TextTable

_MAX_LAYERS = 12  # that are drawn: the first and the last ones of more
_PANELS_A_ROW = 3
_USUAL_RATIO = 1e-3  # of a step's length to the weights', where training usually goes well


def inside_part(looks: Sequence[EpochStatistics]) -> PageSection:
    """Return activations, gradients and steps over time, and units that do nothing."""
    title = "Inside"
    if not looks or not looks[-1].layers:
        return PageSection(
            title,
            ("Nothing was recorded while it trained (`report: false`, or an earlier dlcli).",),
        )
    return PageSection(
        title,
        tuple(_sentences(looks)),
        _units_tables(looks[-1]),
        (_activations(looks), _by_parameter(looks, "gradients"), _by_parameter(looks, "steps")),
    )


def _sentences(looks: Sequence[EpochStatistics]) -> list[str]:
    last = looks[-1]
    dead = sum(layer.num_dead for layer in last.layers[:-1])
    saturated = sum(layer.num_saturated for layer in last.layers[:-1])
    total = sum(layer.num_units for layer in last.layers[:-1])
    said = [
        f"Looked at after {len(looks)} of its epochs, the last of them {last.epoch}, on up to 256 "
        "training rows."
    ]
    if not total:
        return said
    if dead:
        said.append(
            f"{dead} of {total} hidden units give the same for every row: they are dead weight. "
            "Fewer units, a lower learning rate or leaky_relu would waste less."
        )
    if saturated:
        said.append(
            f"{saturated} of {total} hidden units are at an end of their range for nearly every "
            "row, where gradients vanish: smaller first weights, scaled features or relu help."
        )
    if not dead and not saturated:
        said.append("No hidden unit is dead or saturated.")
    return said


def _units_tables(look: EpochStatistics) -> tuple[TextTable, ...]:
    rows = tuple(
        (
            layer.name,
            str(layer.num_units),
            f"{layer.zero_share:.0%}",
            _named(layer.dead, layer.num_dead),
            _named(layer.saturated, layer.num_saturated),
        )
        for layer in look.layers
    )
    note = f"After epoch {look.epoch}. Units are counted from 0; of a convolution, its channels."
    return (TextTable(("layer", "units", "zeros", "dead", "saturated"), rows, note),)


def _named(units: Sequence[int], number: int) -> str:
    if not number:
        return "none"
    more = ", …" if number > len(units) else ""
    return f"{number}: {', '.join(map(str, units))}{more}"


def _activations(looks: Sequence[EpochStatistics]) -> Picture:
    names = _shown([layer.name for layer in looks[-1].layers])
    columns = min(_PANELS_A_ROW, len(names))
    rows = -(-len(names) // columns)
    epochs = [look.epoch for look in looks]

    def fill(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
        for axes, name in zip(panels, names, strict=False):
            found = [_layer(look, name).quantiles for look in looks]
            lowest, low, middle, high, highest = np.array(found).T
            axes.fill_between(epochs, lowest, highest, color=COLORS[0], alpha=0.15, linewidth=0)
            axes.fill_between(epochs, low, high, color=COLORS[0], alpha=0.3, linewidth=0)
            axes.plot(epochs, middle, color=COLORS[0], marker="." if len(epochs) < 3 else "")
            axes.set_title(shortened(name, 26))
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        _scale_epochs(panels[0], epochs)
        figure.supxlabel("epochs", fontsize="medium")
        figure.supylabel("activations", fontsize="medium")

    left_out = len(looks[-1].layers) - len(names)
    return draw(
        "activations",
        "Activations over time",
        "Each layer's activations over the epochs: the median as a line, half of them within the "
        "dark band, 90 % within the light one."
        + (f" {left_out} layers in the middle are left out." if left_out else ""),
        fill,
        size=(7.5, 0.6 + 1.9 * rows),
    )


def _by_parameter(looks: Sequence[EpochStatistics], what: str) -> Picture:
    """Draw the median gradient, or the step's length over the weights', of each weight tensor."""
    names = [own.name for own in looks[-1].parameters]
    weights = [name for name in names if name.endswith("weight")] or names
    shown = _shown(weights)
    of_steps = what == "steps"

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        epochs = [look.epoch for look in looks]
        for index, name in enumerate(shown):
            found = [_parameter(look, name) for look in looks]
            values = [own.update_ratio if of_steps else _median_gradient(own) for own in found]
            drawn = [value or np.nan for value in values]  # a logarithm has no 0
            axes.plot(epochs, drawn, label=shortened(name, 26), **line_style(index))
        if of_steps:
            axes.axhline(_USUAL_RATIO, color=INK, linewidth=0.8, linestyle=":", label="0.001")
        if any(np.nan_to_num(line.get_ydata()).any() for line in axes.get_lines()):
            scale_logarithmically(axes.yaxis)  # there is something to draw
        _scale_epochs(axes, epochs)
        axes.set_xlabel("epochs")
        axes.set_ylabel("step / weights" if of_steps else "median |gradient|")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")

    if of_steps:
        last = [_parameter(looks[-1], name).update_ratio for name in shown]
        known = [ratio for ratio in last if ratio]
        text = (
            "How long the last step of an epoch was, over the length of the weights that it moved, "
            "for each layer's weights. About 0.001 is usual; far above it the rate is high, far "
            "below it little is learned."
        )
        if known:
            text += f" At the end: {min(known):.1g} to {max(known):.1g}."
        return draw("steps", "Steps against weights", text, fill)
    return draw(
        "gradients",
        "Gradients over time",
        "The median size of the gradient's numbers at the last step of an epoch, for each layer's "
        "weights: lines that part by orders of magnitude show gradients that vanish or explode on "
        "their way back.",
        fill,
    )


def _median_gradient(own: ParameterStatistics) -> float | None:
    return None if own.gradient is None else own.gradient[1]


def _layer(look: EpochStatistics, name: str) -> LayerStatistics:
    return next(layer for layer in look.layers if layer.name == name)


def _parameter(look: EpochStatistics, name: str) -> ParameterStatistics:
    return next(own for own in look.parameters if own.name == name)


def _shown(names: Sequence[str]) -> list[str]:
    """Return all names, or the first and the last ones."""
    if len(names) <= _MAX_LAYERS:
        return list(names)
    half = _MAX_LAYERS // 2
    return [*names[:half], *names[-half:]]


def _scale_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    """Show the first looks too: they lie ever further apart."""
    if len(epochs) > 1 and epochs[-1] >= 20:
        scale_logarithmically(axes.xaxis)
