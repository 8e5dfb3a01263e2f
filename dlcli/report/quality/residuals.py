"""Residuals of predicted numbers."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.quality.quality import NumberQuality
from dlcli.explaining.weighted import mean_and_error, quantiles
from dlcli.report.page import PageSection
from dlcli.report.picture import COLORS, INK, Picture, draw
from dlcli.report.text import number_text, one_label

_MAX_VECTORS = 1_000  # points drawn one by one; more become an image
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

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        _scatter(axes, truth, predictions)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1.0)
        axes.set_aspect("equal")
        axes.set_xlabel(f"true {one_label(target, 30)}")
        axes.set_ylabel("predicted")

    text = (
        f"Predicted against true {one_label(target, 60)}; the dashed line marks perfect "
        f"predictions. True: {number_text(truth.min(), 4)} to {number_text(truth.max(), 4)}; "
        f"predicted: {number_text(predictions.min(), 4)} to {number_text(predictions.max(), 4)}. "
        f"The median absolute error is {number_text(median_error)}."
    )
    return draw("predicted-against-true", "Predicted against true", text, fill, size=(7.5, 5.2))


def residual_picture(quality: NumberQuality) -> Picture:
    """Draw residuals against predictions, and their distribution."""
    residuals, trend = quality.truth - quality.predictions, quality.trend
    low, high = _limits(residuals)
    num_outside = int(((residuals < low) | (residuals > high)).sum())
    num_bins = max(5, min(40, round(2 * len(residuals) ** (1 / 3))))

    def fill(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        _scatter(left, quality.predictions, residuals)
        if trend:
            left.fill_between(
                trend.x, trend.low, trend.high, color=COLORS[1], alpha=0.25, linewidth=0
            )
            left.plot(trend.x, trend.middle, color=COLORS[1])
        right.hist(
            residuals,
            num_bins,
            range=(low, high),
            weights=quality.weights,
            orientation="horizontal",
            color=COLORS[0],
            edgecolor="none",
        )
        for axes in (left, right):
            axes.axhline(0.0, color=INK, linestyle="--", linewidth=1.0)
        left.set_ylim(low, high)
        left.set_xlabel("predicted")
        left.set_ylabel("true − predicted")
        right.set_xlabel("rows" if quality.weights is None else "weight")

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
    return draw("residuals", "Residuals", text, fill)


def _limits(residuals: np.ndarray) -> tuple[float, float]:
    """Return the range to show: of many rows without a few outliers that would squeeze the rest."""
    low, high = float(residuals.min()), float(residuals.max())
    if len(residuals) >= _FEW_ROWS:
        inner = np.quantile(residuals, [_OUTSIDE, 1 - _OUTSIDE])
        span = float(inner[1] - inner[0])
        low, high = max(low, inner[0] - span / 2), min(high, inner[1] + span / 2)
    margin = 0.03 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    is_image = len(x) > _MAX_VECTORS
    size, alpha = (6, 0.3) if is_image else (14, 0.6)
    axes.ticklabel_format(useOffset=False)
    axes.scatter(x, y, size, color=COLORS[0], alpha=alpha, linewidth=0, rasterized=is_image)
