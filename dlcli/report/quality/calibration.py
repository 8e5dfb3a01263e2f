"""Calibration: whether predicted probabilities match how often the predictions are right."""

from collections.abc import Iterator

import numpy as np

from dlcli.explaining.quality.calibration import Reliability, TemperatureScaling
from dlcli.explaining.quality.quality import ClassQuality, Quality
from dlcli.numbers import fixed_text, percent_text
from dlcli.report.charts.chart import Axis, Chart, Dots, Line, Mark, Panel, Spans
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import metric_text


def calibration_section(quality: Quality, details: ClassQuality) -> PageSection:
    """Return confidence against accuracy, and what temperature scaling does to it."""
    return PageSection(
        "Calibration",
        tuple(_sentences(quality, details)),
        pictures=(reliability_picture(details),),
    )


def _sentences(quality: Quality, details: ClassQuality) -> Iterator[str]:
    reliability = details.reliability
    weight = reliability.weight
    confidence = float(weight @ reliability.confidence / weight.sum())
    accuracy = float(weight @ reliability.accuracy / weight.sum())
    is_chance = reliability.error <= details.chance_error
    way = "overconfident" if confidence > accuracy else "underconfident"
    if abs(confidence - accuracy) < reliability.error / 2:
        way = "overconfident on some rows and underconfident on others"
    chance = metric_text(details.chance_error, 2)
    yield (
        f"Mean confidence is {percent_text(confidence, 1)}, accuracy {percent_text(accuracy, 1)}; "
        f"the expected calibration error is {fixed_text(reliability.error)}. "
        + (
            f"This may be due to chance: 1 in 20 perfectly calibrated networks exceeds {chance} "
            "on such rows."
            if is_chance
            else f"This is more than chance explains (95 % of perfectly calibrated networks stay "
            f"below {chance}): the network is {way}."
        )
    )
    yield from quality.loss.calibration_notes()
    yield _describe_scaling(details.temperature_scaling, reliability.error, quality.part)


def _describe_scaling(scaling: TemperatureScaling | None, error: float, part: str) -> str:
    if scaling is None:
        return "There are no validation rows to fit a temperature on."
    rows = f"the {scaling.num_rows:,} validation rows"
    if scaling.temperature is None or scaling.reliability is None:
        return (
            f"No temperature can be fitted on {rows}: the best one is unbounded, as happens where "
            "every row is classified correctly."
        )
    after = scaling.reliability.error
    assert scaling.losses is not None, "they are measured wherever there is a temperature"
    before_loss, after_loss = map(fixed_text, scaling.losses)
    found = "found on" if scaling.is_applied else "the best fit on"
    text = (
        f"Temperature scaling: with the logits divided by {scaling.temperature:.3g}, {found} "
        f"{rows}, the error is {fixed_text(after)}"
    )
    text += ", no improvement" if after >= error else ""
    text += f", and the log loss {after_loss} instead of {before_loss}."
    if scaling.is_on_same_rows:
        text += f" It was fitted on the same {part} rows, so this is optimistic."
    if scaling.is_applied:
        text += " Predictions are made with this temperature"
        but = " (the metrics above are without it)" if scaling.is_on_same_rows else ""
        return f"{text}{but}; calibration: none leaves probabilities as they are."
    return (
        f"{text} Predictions are made without it; calibration: temperature applies one, and auto "
        "does where the log loss on held-out rows falls by more than its standard error."
    )


def reliability_picture(quality: ClassQuality) -> Picture:
    """Draw accuracy against confidence, with and without temperature scaling."""
    reliability, scaling = quality.reliability, quality.temperature_scaling
    scaled = scaling.reliability if scaling else None

    marks: list[Mark] = [
        Line([0, 1], [0, 1], "perfect calibration", "ink", 3, 1.2, has_tooltip=False)
    ]
    marks += _bins(reliability, f"network: {fixed_text(reliability.error)}", 0)
    if scaling and scaled:
        name = f"temperature {scaling.temperature:.3g}: {fixed_text(scaled.error)}"
        marks += _bins(scaled, name, 1)
    shown = [curve for curve in (reliability, scaled) if curve]
    lowest = min(min(curve.confidence.min(), curve.low.min()) for curve in shown)
    highest = max(max(curve.confidence.max(), curve.high.max()) for curve in shown)
    bottom, top = float(np.floor(10 * lowest) / 10), float(np.ceil(10 * highest) / 10 + 0.02)
    panel = Panel(
        marks,
        Axis("confidence (probability of the predicted class)", bottom, top),
        Axis("accuracy", bottom, top),
    )
    num_bins, size = len(reliability.num_rows), round(reliability.num_rows.mean())
    bins = f"{num_bins} bins of about {size} rows" if num_bins > 1 else "a single bin"
    text = (
        f"Reliability diagram: accuracy against confidence, with 95 % intervals, in {bins} of "
        "similar confidence. Points below the dotted line are overconfident. The expected "
        f"calibration error is {fixed_text(reliability.error)}"
    )
    if scaling and scaled:
        text += (
            f"; with a temperature of {scaling.temperature:.3g} it is {fixed_text(scaled.error)}"
        )
    chart = Chart(((panel,),), height=300.0, legend_title="calibration error")
    return chart_picture("reliability", "Reliability diagram", f"{text}.", chart)


def _bins(reliability: Reliability, name: str, color: int) -> list[Mark]:
    x = reliability.confidence
    return [
        Spans(x, reliability.low, x, reliability.high, color),
        Line(x, reliability.accuracy, name, color, color, 1.4),
        Dots(
            x,
            reliability.accuracy,
            color=color,
            shape="diamond" if color else "dot",
            has_tooltip=False,
        ),
    ]
