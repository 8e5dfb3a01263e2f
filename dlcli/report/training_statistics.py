"""Activations, gradients and updates during training, as a section of a page."""

from collections.abc import Iterator, Sequence

import numpy as np

from dlcli.explaining.training_statistics import (
    MAX_NUMBERS,
    EpochStatistics,
    LayerStatistics,
    ParameterStatistics,
)
from dlcli.numbers import percent_text
from dlcli.report.charts.chart import Axis, Band, Chart, Line, Mark, Panel, Rule, line_style
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture, shortened
from dlcli.report.table import TextTable

_MAX_LAYERS = 12  # that are drawn; of more, the first and the last ones
_PANELS_A_ROW = 3
_TYPICAL_RATIO = 1e-3  # of an update's length to that of the weights


def statistics_section(statistics: Sequence[EpochStatistics]) -> PageSection:
    """Return activations, gradients and updates by epoch, and dead and saturated units."""
    title = "Activations, gradients and updates"
    if not statistics or not statistics[-1].layers:
        return PageSection(
            title,
            ("Nothing was recorded during training (`report: false`, or an earlier dlcli).",),
        )
    return PageSection(
        title,
        tuple(_sentences(statistics)),
        _units_tables(statistics[-1]),
        (
            _activations(statistics),
            _by_parameter(statistics, "gradients"),
            _by_parameter(statistics, "steps"),
        ),
    )


def _sentences(statistics: Sequence[EpochStatistics]) -> Iterator[str]:
    last = statistics[-1]
    dead = sum(layer.num_dead for layer in last.layers[:-1])
    saturated = sum(layer.num_saturated for layer in last.layers[:-1])
    total = sum(layer.num_units for layer in last.layers[:-1])
    yield (
        f"Recorded after {len(statistics)} epochs, the last of them epoch {last.epoch}, on up to "
        f"{last.num_rows} training rows. Quantiles of a large layer or gradient are those of a "
        f"random sample of {MAX_NUMBERS:,} of its numbers."
    )
    if dead:
        yield (
            f"{dead} of {total} hidden units {'is' if dead == 1 else 'are'} dead: the output is "
            "the same for every row. Fewer units, a lower learning rate or leaky_relu can help."
        )
    if saturated:
        yield (
            f"{saturated} of {total} hidden units {'is' if saturated == 1 else 'are'} saturated "
            "for nearly every row, so gradients vanish. Smaller initial weights, scaled features "
            "or relu can help."
        )
    if total and not dead and not saturated:
        yield "No hidden unit is dead or saturated."


def _units_tables(epoch: EpochStatistics) -> tuple[TextTable, ...]:
    rows = tuple(
        (
            layer.name,
            str(layer.num_units),
            percent_text(layer.zero_share),
            _named(layer.dead, layer.num_dead),
            _named(layer.saturated, layer.num_saturated),
        )
        for layer in epoch.layers
    )
    note = (
        f"After epoch {epoch.epoch}. Units are counted from 0; those of a convolution are its "
        "channels."
    )
    return (TextTable(("layer", "units", "zeros", "dead", "saturated"), rows, note),)


def _named(units: Sequence[int], number: int) -> str:
    if not number:
        return "none"
    more = ", …" if number > len(units) else ""
    return f"{number}: {', '.join(map(str, units))}{more}"


def _activations(statistics: Sequence[EpochStatistics]) -> Picture:
    names = _shown([layer.name for layer in statistics[-1].layers])
    num_columns = min(_PANELS_A_ROW, len(names))
    epochs = [epoch.epoch for epoch in statistics]
    panels = []
    for place, name in enumerate(names):
        found = np.array([_layer(epoch, name).quantiles for epoch in statistics])
        lowest, low, middle, high, highest = found.T
        is_first, is_last = place % num_columns == 0, place + num_columns >= len(names)
        panels.append(
            Panel(
                (
                    Band(epochs, lowest, highest, 0, 0.18),
                    Band(epochs, low, high, 0, 0.3),
                    Line(epochs, middle, is_marked=len(epochs) < 3),
                ),
                _epoch_axis(epochs, is_hidden=not is_last, max_ticks=4),
                Axis("activations" if is_first else "", max_ticks=5),
                title=shortened(name, 26),
            )
        )
    rows = [panels[start : start + num_columns] for start in range(0, len(panels), num_columns)]
    left_out = len(statistics[-1].layers) - len(names)
    return chart_picture(
        "activations",
        "Activations by epoch",
        "Activations of each layer by epoch: the line is the median, the dark band holds half of "
        "them, the light band 90 %."
        + (f" {left_out} layers in the middle are not shown." if left_out else ""),
        Chart(rows, height=125.0 * len(rows), widths=(1.0,) * num_columns),
    )


def _by_parameter(statistics: Sequence[EpochStatistics], what: str) -> Picture:
    """Draw the median gradient, or the update-to-weight ratio, of each weight tensor."""
    names = [parameter.name for parameter in statistics[-1].parameters]
    weights = [name for name in names if name.endswith("weight")] or names
    shown = _shown(weights)
    of_steps = what == "steps"

    epochs = [epoch.epoch for epoch in statistics]
    marks: list[Mark] = []
    if of_steps:
        marks.append(Rule(_TYPICAL_RATIO, "y", "typical: 0.001", dashes=3))
    for index, name in enumerate(shown):
        found = [_parameter(epoch, name) for epoch in statistics]
        values = [
            parameter.update_ratio if of_steps else _median_gradient(parameter)
            for parameter in found
        ]
        drawn = [value or np.nan for value in values]  # a logarithm has no 0
        color, dashes = line_style(index)
        marks.append(Line(epochs, drawn, shortened(name, 26), color, dashes))
    label = "update / weights" if of_steps else "median |gradient|"
    panel = Panel(marks, _epoch_axis(epochs), Axis(label, is_log=True, max_ticks=5))
    chart = Chart(((panel,),), height=240.0)
    if of_steps:
        last = [_parameter(statistics[-1], name).update_ratio for name in shown]
        known = [ratio for ratio in last if ratio]
        text = (
            "The length of the last update of each epoch relative to the length of the weights, "
            "for each layer's weights. About 0.001 is typical; far above it the learning rate is "
            "high, far below it little is learned."
        )
        if known:
            low, high = f"{min(known):.1g}", f"{max(known):.1g}"
            text += f" At the end: {low}." if low == high else f" At the end: {low} to {high}."
        return chart_picture("steps", "Update-to-weight ratio", text, chart)
    return chart_picture(
        "gradients",
        "Gradients by epoch",
        "The median absolute gradient at the last step of each epoch, for each layer's weights. "
        "Lines that are orders of magnitude apart indicate vanishing or exploding gradients.",
        chart,
    )


def _median_gradient(parameter: ParameterStatistics) -> float | None:
    return None if parameter.gradient is None else parameter.gradient[1]


def _layer(epoch: EpochStatistics, name: str) -> LayerStatistics:
    return next(layer for layer in epoch.layers if layer.name == name)


def _parameter(epoch: EpochStatistics, name: str) -> ParameterStatistics:
    return next(parameter for parameter in epoch.parameters if parameter.name == name)


def _shown(names: Sequence[str]) -> list[str]:
    """Return all names, or the first and the last ones."""
    if len(names) <= _MAX_LAYERS:
        return list(names)
    half = _MAX_LAYERS // 2
    return [*names[:half], *names[-half:]]


def _epoch_axis(epochs: Sequence[int], *, is_hidden: bool = False, max_ticks: int = 6) -> Axis:
    """Return a logarithmic axis for many epochs: the recorded ones are ever further apart."""
    is_log = len(epochs) > 1 and epochs[-1] >= 20
    return Axis(
        "epoch", is_log=is_log, is_integer=not is_log, is_hidden=is_hidden, max_ticks=max_ticks
    )
