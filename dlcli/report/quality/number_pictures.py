"""Pictures of how far a network's numbers are off."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.explaining.judging.quality import NumberQuality
from dlcli.report.picture import COLORS, INK, Picture, draw
from dlcli.report.quality.text import number, one_label

_MAX_VECTORS = 1_000  # drawn one by one; more are kept as dots of an image
_FEW_ROWS = 200  # of which all residuals are shown
_OUTSIDE = 0.005  # of more rows, at either end
_FEW_ROWS = 30  # too few to tell by resamples how far figures are off


def prediction_picture(quality: NumberQuality, target: str) -> Picture:
    """Draw predicted numbers against true ones."""
    truth, answers = quality.truth, quality.answers
    low = min(truth.min(), answers.min())
    high = max(truth.max(), answers.max())
    off = float(np.median(np.abs(answers - truth)))

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        _scatter(axes, truth, answers)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1.0)
        axes.set_aspect("equal")
        axes.set_xlabel(f"true {one_label(target, 30)}")
        axes.set_ylabel("predicted")

    text = (
        f"Predicted {one_label(target, 60)} against the true one; on the dashed line both are the "
        f"same. True: {number(truth.min(), 4)} to {number(truth.max(), 4)}; predicted: "
        f"{number(answers.min(), 4)} to {number(answers.max(), 4)}. Half of the rows are within "
        f"{number(off)}."
    )
    return draw("predicted-against-true", "Predicted against true", text, fill, size=(7.5, 5.2))


def residual_picture(quality: NumberQuality) -> Picture:
    """Draw true less predicted against predicted, and how it is spread."""
    residuals, trend = quality.truth - quality.answers, quality.trend
    low, high = _limits(residuals)
    num_outside = int(((residuals < low) | (residuals > high)).sum())
    num_bins = max(5, min(40, round(2 * len(residuals) ** (1 / 3))))

    def fill(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        _scatter(left, quality.answers, residuals)
        if trend:
            left.fill_between(
                trend.x, trend.low, trend.high, color=COLORS[1], alpha=0.25, linewidth=0
            )
            left.plot(trend.x, trend.middle, color=COLORS[1])
        right.hist(
            residuals,
            num_bins,
            range=(low, high),
            orientation="horizontal",
            color=COLORS[0],
            edgecolor="none",
        )
        for axes in (left, right):
            axes.axhline(0.0, color=INK, linestyle="--", linewidth=1.0)
        left.set_ylim(low, high)
        left.set_xlabel("predicted")
        left.set_ylabel("true less predicted")
        right.set_xlabel("rows")

    outer = [number(own) for own in np.quantile(residuals, [0.025, 0.25, 0.5, 0.75, 0.975])]
    text = (
        "Left: true less predicted against predicted. "
        + (
            f"The line is the running median of {trend.num_rows} rows, half of them within the "
            "band: where it leaves 0 the network is off in one direction."
            if trend
            else "There are too few rows, or too few different answers, for a running median."
        )
        + f" Right: their spread: the median is {outer[2]}, half of them are between "
        f"{outer[1]} and {outer[3]}, 95 % between {outer[0]} and {outer[4]}."
    )
    if num_outside:
        text += f" {num_outside} rows are further off than the picture reaches."
    return draw("residuals", "True less predicted", text, fill)


def _limits(residuals: np.ndarray) -> tuple[float, float]:
    """Return what to show of residuals: all but a few that would press all else together."""
    low, high = float(residuals.min()), float(residuals.max())
    if len(residuals) >= _FEW_ROWS:
        inner = np.quantile(residuals, [_OUTSIDE, 1 - _OUTSIDE])
        span = float(inner[1] - inner[0])
        low, high = max(low, inner[0] - span / 2), min(high, inner[1] + span / 2)
    margin = 0.03 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    many = len(x) > _MAX_VECTORS
    size, alpha = (6, 0.3) if many else (14, 0.6)
    axes.ticklabel_format(useOffset=False)
    axes.scatter(x, y, size, color=COLORS[0], alpha=alpha, linewidth=0, rasterized=many)
