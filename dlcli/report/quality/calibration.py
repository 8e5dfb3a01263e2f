"""Calibration: whether predicted probabilities match how often the predictions are right."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.quality.calibration import Reliability, TemperatureScaling
from dlcli.explaining.quality.quality import ClassQuality, Quality
from dlcli.report.page import PageSection
from dlcli.report.picture import COLORS, INK, Picture, draw
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
        f"Mean confidence is {confidence:.1%}, accuracy {accuracy:.1%}; the expected calibration "
        f"error is {reliability.error:.3f}. "
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
    text = (
        f"Temperature scaling: with the logits divided by {scaling.temperature:.3g}, the best fit "
        f"on {rows}, the error is {after:.3f}"
    )
    text += ", no improvement." if after >= error else "."
    if scaling.is_on_same_rows:
        text += f" It was fitted on the same {part} rows, so this is optimistic."
    return text


def reliability_picture(quality: ClassQuality) -> Picture:
    """Draw accuracy against confidence, with and without temperature scaling."""
    reliability, scaling = quality.reliability, quality.temperature_scaling
    scaled = scaling.reliability if scaling else None

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        label = "perfect calibration"
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1.0, label=label)
        _draw_bins(axes, reliability, COLORS[0], "o", "-", f"network: {reliability.error:.3f}")
        if scaling and scaled:
            label = f"temperature {scaling.temperature:.3g}: {scaled.error:.3f}"
            _draw_bins(axes, scaled, COLORS[1], "D", "--", label)
        shown = [curve for curve in (reliability, scaled) if curve]
        lowest = min(min(curve.confidence.min(), curve.low.min()) for curve in shown)
        highest = max(max(curve.confidence.max(), curve.high.max()) for curve in shown)
        bottom, top = np.floor(10 * lowest) / 10, np.ceil(10 * highest) / 10
        axes.set_xlim(bottom, top + 0.02)
        axes.set_ylim(bottom, top + 0.02)
        axes.set_xlabel("confidence (probability of the predicted class)")
        axes.set_ylabel("accuracy")
        axes.legend(
            title="calibration error", loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small"
        )

    num_bins, size = len(reliability.num_rows), round(reliability.num_rows.mean())
    bins = f"{num_bins} bins of about {size} rows" if num_bins > 1 else "a single bin"
    text = (
        f"Reliability diagram: accuracy against confidence, with 95 % intervals, in {bins} of "
        "similar confidence. Points below the dotted line are overconfident. The expected "
        f"calibration error is {reliability.error:.3f}"
    )
    if scaling and scaled:
        text += f"; with a temperature of {scaling.temperature:.3g} it is {scaled.error:.3f}"
    return draw("reliability", "Reliability diagram", f"{text}.", fill)


def _draw_bins(
    axes: Axes, reliability: Reliability, color: str, marker: str, line: str, label: str
) -> None:
    accuracy = reliability.accuracy
    axes.errorbar(
        reliability.confidence,
        accuracy,
        np.abs([accuracy - reliability.low, reliability.high - accuracy]),
        color=color,
        marker=marker,
        markersize=5,
        linestyle=line,
        linewidth=1.4,
        elinewidth=0.8,
        label=label,
    )
