"""Residuals of predicted numbers."""

import numpy as np

from dlcli.explaining.quality.quality import NumberQuality
from dlcli.explaining.weighted import mean_and_error, quantiles
from dlcli.numbers import number_text
from dlcli.report.charts.chart import Axis, Band, Box, Boxes, Chart, Dots, Line, Mark, Panel, Rule
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import amount_text, one_label

_MANY_DOTS = 1_000  # they are small, and have no tooltip
_FEW_ROWS = 200  # of fewer rows, all residuals are shown
_OUTSIDE = 0.005  # of more rows, the share at either end that doesn't set the scale


def residuals_section(details: NumberQuality, target: str) -> PageSection:
    """Return how far predictions are off, and whether in one direction."""
    return PageSection(
        "Residuals (true − predicted)",
        (describe_bias(details),),
        pictures=(prediction_picture(details, target), residual_picture(details)),
    )


def describe_bias(details: NumberQuality) -> str:
    """Say whether predictions are too high or too low on average, beyond chance."""
    residuals = details.truth - details.predictions
    mean, error = mean_and_error(residuals, details.weights, details.groups)
    reach = 1.96 * error
    way = "above" if mean >= 0 else "below"
    text = f"On average, true values are {number_text(abs(mean))} {way} the predictions"
    margin = f"(95 % margin: ±{number_text(reach, 2)})"
    if abs(mean) > reach:
        return f"{text}, more than chance explains {margin}."
    return f"{text}, which may be due to chance {margin}."


def prediction_picture(quality: NumberQuality, target: str) -> Picture:
    """Draw predicted numbers against true ones."""
    truth, predictions = quality.truth, quality.predictions
    low = min(truth.min(), predictions.min())
    high = max(truth.max(), predictions.max())
    median_error = float(quantiles(np.abs(predictions - truth), [0.5], 0, quality.weights)[0])

    ideal = Line([low, high], [low, high], color="ink", dashes=1, width=1.2, has_tooltip=False)
    panel = Panel(
        (_scatter(truth, predictions), ideal),
        Axis(f"true {one_label(target, 30)}"),
        Axis("predicted"),
        is_square=high > low,
    )
    text = (
        f"Predicted against true {one_label(target, 60)}; the dashed line marks perfect "
        f"predictions. True: {number_text(truth.min(), 4)} to {number_text(truth.max(), 4)}; "
        f"predicted: {number_text(predictions.min(), 4)} to {number_text(predictions.max(), 4)}. "
        f"The median absolute error is {number_text(median_error)}."
    )
    chart = Chart(((panel,),), height=400.0)
    return chart_picture("predicted-against-true", "Predicted against true", text, chart)


def residual_picture(quality: NumberQuality) -> Picture:
    """Draw residuals against predictions, and their distribution."""
    residuals, trend = quality.truth - quality.predictions, quality.trend
    low, high = _limits(residuals)
    num_outside = int(((residuals < low) | (residuals > high)).sum())
    num_bins = max(5, min(40, round(2 * len(residuals) ** (1 / 3))))

    counts, edges = np.histogram(residuals, num_bins, (low, high), weights=quality.weights)
    bars = [
        Box(0.0, float(bottom), float(count), float(top), note=_about_bar(bottom, top, count))
        for count, bottom, top in zip(counts, edges, edges[1:], strict=False)
        if count
    ]
    zero = Rule(0.0, "y", dashes=1, width=1.2)
    marks: list[Mark] = [_scatter(quality.predictions, residuals)]
    if trend:
        marks.append(Band(trend.x, trend.low, trend.high, 1, 0.3))
        marks.append(Line(trend.x, trend.middle, "running median", 1))
    left = Panel((*marks, zero), Axis("predicted"), Axis("true − predicted", low, high))
    amount = Axis("rows" if quality.weights is None else "weight", low=0.0, max_ticks=3)
    right = Panel((Boxes(bars), zero), amount, Axis(low=low, high=high, is_hidden=True))

    shares = [0.025, 0.25, 0.5, 0.75, 0.975]
    lowest, lower, middle, upper, highest = (
        number_text(value) for value in quantiles(residuals, shares, 0, quality.weights)
    )
    text = (
        "Left: residuals (true − predicted) against predictions. "
        + (
            f"The line is the running median of {trend.num_rows} rows, the band holds half of "
            "them: where the line leaves 0, predictions are biased."
            if trend
            else "There are too few rows, or too few different predictions, for a running median."
        )
        + f" Right: their distribution: median {middle}, half between {lower} and {upper}, 95 % "
        f"between {lowest} and {highest}."
    )
    if num_outside:
        text += f" {num_outside} rows lie outside the range shown."
    chart = Chart(((left, right),), height=300.0, widths=(3.0, 1.0))
    return chart_picture("residuals", "Residuals", text, chart)


def _about_bar(low: float, high: float, count: float) -> str:
    return f"{number_text(low)} to {number_text(high)}: {amount_text(float(count))}"


def _limits(residuals: np.ndarray) -> tuple[float, float]:
    """Return the range to show: of many rows without a few outliers that would squeeze the rest."""
    low, high = float(residuals.min()), float(residuals.max())
    if len(residuals) >= _FEW_ROWS:
        inner = np.quantile(residuals, [_OUTSIDE, 1 - _OUTSIDE])
        span = float(inner[1] - inner[0])
        low, high = max(low, inner[0] - span / 2), min(high, inner[1] + span / 2)
    margin = 0.03 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def _scatter(x: np.ndarray, y: np.ndarray) -> Dots:
    if len(x) >= _MANY_DOTS:
        return Dots(x, y, size=3.0, opacity=0.3, has_tooltip=False)
    return Dots(x, y, size=5.0, opacity=0.6)
