"""Forecasts beside baselines, step by step, and beside what came."""

from collections.abc import Iterator

import numpy as np

from dlcli.explaining.forecasts.shown import ForecastQuality, ShownForecast
from dlcli.numbers import number_text
from dlcli.report.charts.chart import Axis, Band, Chart, Line, Mark, Panel, Rule, line_style
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.table import TextTable
from dlcli.report.text import metric_text, one_label

_MAX_TARGETS = 3  # that have pictures of their own


def forecast_sections(quality: ForecastQuality) -> list[PageSection]:
    """Return metrics beside baselines, errors by step, and some forecasts."""
    names = quality.names[:_MAX_TARGETS]
    return [
        PageSection("Metrics", tuple(_verdict(quality)), (_metrics(quality),)),
        PageSection(
            "Errors by step",
            (_left_out(quality),) if len(names) < len(quality.names) else (),
            pictures=tuple(_errors(quality, name) for name in names),
        ),
        PageSection(
            "Forecasts against what came",
            tuple(_coverage(quality)),
            pictures=tuple(_forecasts(quality, index) for index in range(len(names))),
        ),
    ]


def _left_out(quality: ForecastQuality) -> str:
    return f"Of {len(quality.names)} targets, the first {_MAX_TARGETS} are shown."


def _verdict(quality: ForecastQuality) -> Iterator[str]:
    figures = quality.figures
    metric = next(name for name, value in figures.items() if name != "loss" and value is not None)
    where = f"On the {quality.num_windows:,} {quality.part} windows"
    yield f"{where}: {metric} {metric_text(figures[metric])}."
    if quality.part != "test":
        yield "The best epoch was chosen on these windows, or they are those of training."
    for name, found in figures.get("baselines", {}).items():
        ratio = (figures[metric] / found[metric]) ** 2 if found[metric] else None
        if ratio is not None:
            yield (
                f"The mean squared error is {number_text(ratio, 3)} times that of the baseline "
                f"'{name}': {found['explanation']}."
            )


def _metrics(quality: ForecastQuality) -> TextTable:
    figures = quality.figures
    names = [name for name, value in figures.items() if isinstance(value, float) and name != "loss"]
    rows = tuple(
        (title, *(metric_text(of.get(name)) for name in names))
        for title, of in (("network", figures), *figures.get("baselines", {}).items())
    )
    units = "in the target's units"
    if len(quality.names) > 1:
        units = "of standardised numbers, as the targets' units differ"
    return TextTable(("forecast", *names), rows, f"Over all steps, {units}.")


def _errors(quality: ForecastQuality, target: str) -> Picture:
    found = [("network", quality.figures), *quality.figures.get("baselines", {}).items()]
    of_steps = {title: of["by_step"][target] for title, of in found}
    metric = next(iter(of_steps["network"]))
    horizon = len(of_steps["network"][metric])
    steps = np.arange(1, horizon + 1)
    lines = []
    for index, (title, of) in enumerate(of_steps.items()):
        color, dashes = line_style(index)
        marked = horizon <= 30
        lines.append(Line(steps, of[metric], title, color, dashes, is_marked=marked))
    name, first, last = one_label(target, 40), *(of_steps["network"][metric][i] for i in (0, -1))
    panel = Panel(
        lines,
        Axis(f"steps of {quality.step} ahead", is_integer=True),
        Axis(f"{metric} of {name}", low=0.0),
    )
    text = (
        f"The {metric} of {name} at each step ahead. The network's is {number_text(first)} at the "
        f"first step and {number_text(last)} at the last."
    )
    file = f"errors-by-step-{quality.names.index(target) + 1}"
    return chart_picture(file, f"Errors of {name} by step", text, Chart(((panel,),), height=300.0))


def _coverage(quality: ForecastQuality) -> Iterator[str]:
    yield (
        "Windows whose error is small, typical, large and the largest among windows that are "
        "evenly taken from all."
    )
    if quality.coverage is not None:
        yield f"{quality.coverage:.1%} of what came lies within the bounds of the forecasts."


def _forecasts(quality: ForecastQuality, index: int) -> Picture:
    name = one_label(quality.names[index], 40)
    panels = [_panel(quality, shown, index) for shown in quality.forecasts]
    text = (
        f"{name} before and after the forecast (the vertical line): what came, and what the "
        "network forecast."
        + (" The band is that of its bounds." if quality.coverage is not None else "")
    )
    rows = (tuple(panels[:2]), tuple(panels[2:]))
    file = f"forecasts-{index + 1}"
    return chart_picture(file, f"Forecasts of {name}", text, Chart(rows, height=480.0))


def _panel(quality: ForecastQuality, shown: ShownForecast, index: int) -> Panel:
    past, truth = shown.past[:, index], shown.truth[index]
    before, ahead = np.arange(1 - len(past), 1), np.arange(1, len(truth) + 1)
    marks: list[Mark] = [Rule(0.5, "x", dashes=1, opacity=0.5)]
    if shown.bounds is not None:
        lower, upper = shown.bounds
        marks.append(Band(ahead, lower[index], upper[index], 1))
    known = Line(
        np.append(before, ahead), np.append(past, truth), "what came", 0, has_tooltip=False
    )
    marks += [known, Line(ahead, shown.predictions[index], "forecast", 1)]
    return Panel(
        marks,
        Axis(f"steps of {quality.step}", is_integer=True),
        Axis(one_label(quality.names[index], 20)),
        title=shown.what,
        captions=(f"from {shown.begins}",),
    )
