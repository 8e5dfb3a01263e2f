"""Pictures of a comparison."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.report.charts.style import COLORS, INK
from dlcli.report.drawing import draw, line_style, scale_logarithmically
from dlcli.report.picture import Picture
from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.profiles import LARGEST_RATIO, Profile, share_within

_WIDE = 20.0  # the ratio of losses from which on a logarithmic scale shows more
_PANELS_PER_ROW = 4
_SHOWN, _MARGIN = 0.9, 1.5  # of the losses of all rates, and above them


def curves(comparison: Comparison, unit: Literal["epochs", "seconds"]) -> Picture:
    """Draw the lowest validation loss so far, the median over the seeds and the quartiles."""
    judged = [
        result for result in comparison.results if any(run.validation_losses for run in result.runs)
    ]
    bands = {result.name: _band(result) for result in judged}

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, result in enumerate(judged):
            low, middle, high = bands[result.name]
            x = np.arange(1, len(middle) + 1, dtype=float)
            if unit == "seconds":
                x *= comparison.steps_per_epoch * result.seconds_a_step
            style = line_style(index)
            axes.plot(x, middle, label=result.name, **style)
            axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
        if comparison.target is not None:
            axes.axhline(comparison.target, color=INK, linewidth=0.8, linestyle=":", label="target")
        _scale_losses(axes, np.concatenate([np.concatenate(band) for band in bands.values()]))
        axes.set_xlabel("epochs" if unit == "epochs" else "training time of a run by itself [s]")
        axes.set_ylabel("lowest validation loss so far")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw(
        f"loss-against-{unit}",
        f"Validation loss against {unit}",
        f"Lowest validation loss so far against {unit} for {_names(judged)}: median over the seeds "
        "(line) and interquartile range (band).",
        fill,
    )


def rates(comparison: Comparison) -> Picture:
    """Draw each optimizer's loss against its learning rates, the others' behind it."""
    results = comparison.results
    columns = min(_PANELS_PER_ROW, len(results))
    rows = -(-len(results) // columns)

    def fill(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
        lines = [_by_rate(result) for result in results]
        for index, (axes, result) in enumerate(zip(panels, results, strict=False)):
            for lrs, _, middle, _ in lines:
                axes.plot(lrs, middle, color=INK, alpha=0.15, linewidth=0.8)
            lrs, low, middle, high = lines[index]
            axes.plot(lrs, middle, color=COLORS[0], marker="o", markersize=3)
            axes.fill_between(lrs, low, high, color=COLORS[0], alpha=0.15, linewidth=0)
            if result.choice is not None:
                axes.plot(result.choice.lr, result.choice.loss, "o", color=COLORS[1], markersize=7)
            axes.set_title(result.name)
        for axes in panels[len(results) :]:
            axes.set_visible(False)
        finite = np.concatenate([middle[np.isfinite(middle)] for _, _, middle, _ in lines])
        # Losses at the highest rates, just before runs diverge, would squeeze all others.
        top = _MARGIN * float(np.quantile(finite, _SHOWN)) if len(finite) else 1.0
        for axes in panels[: len(results)]:
            scale_logarithmically(axes.xaxis, max_ticks=4)
            _scale_losses(axes, finite[finite <= top])
        panels[0].set_ylim(finite.min() / _MARGIN if finite.min() > 0 else None, top)
        figure.supxlabel("learning rate", fontsize="medium")
        figure.supylabel("validation loss", fontsize="medium")

    return draw(
        "loss-against-learning-rate",
        "Validation loss against learning rate",
        "Validation loss of the best epoch against the learning rate: median over the tuning seeds "
        "(line) and interquartile range (band); the dot marks the chosen rate. "
        f"{_in_words(results)} Rates at which half of the runs diverged have no point.",
        fill,
        size=(8.5, 0.6 + 2.0 * rows),
    )


def differences(comparison: Comparison) -> Picture | None:
    """Draw how much higher the others' losses are than the best one's, with intervals."""
    verdict = comparison.verdict
    if verdict is None:
        return None
    best = verdict.order[0]
    others = [difference for difference in verdict.differences if difference.first == best]

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, difference in enumerate(others):
            color = COLORS[1] if difference.is_clear else COLORS[0]
            axes.plot([-difference.by.high, -difference.by.low], [row, row], color=color)
            axes.plot(
                -difference.by.mean,
                row,
                "o" if difference.is_clear else "D",
                color=color,
                markersize=6,
            )
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(others)), [difference.second for difference in others])
        axes.set_ylim(len(others) - 0.5, -0.5)
        axes.set_xlabel(f"validation loss − {best}'s on the same seed")

    clear = [difference.second for difference in others if difference.is_clear]
    return draw(
        "differences",
        f"Differences from {best}",
        f"Mean paired differences in validation loss from {best}, with individual 95 % confidence "
        "intervals. Dots: higher after correction for all pairs; diamonds: can't be told apart. "
        f"Clearly higher: {', '.join(clear) or 'none'}.",
        fill,
        size=(7.5, 1.1 + 0.38 * len(others)),
    )


def profiles_picture(comparisons: Sequence[Comparison], profiles: Sequence[Profile]) -> Picture:
    """Draw the share of the problems on which each is within a ratio of the fastest."""

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for index, profile in enumerate(profiles):
            steps = sorted({1.0, LARGEST_RATIO, *(r for r in profile.ratios if r < LARGEST_RATIO)})
            shares = [share_within(profile.ratios, ratio) for ratio in steps]
            axes.step(
                steps,
                shares,
                where="post",
                label=f"{profile.name}  {profile.score:.2f}",
                **line_style(index),
            )
        axes.set_xlim(1.0, LARGEST_RATIO)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("time to target, relative to the fastest")
        axes.set_ylabel("share of the problems")
        axes.legend(title="optimizer and score", loc="upper left", bbox_to_anchor=(1.0, 1.0))

    scores = ", ".join(f"{profile.name} {profile.score:.2f}" for profile in profiles)
    return draw(
        "performance-profile",
        "Performance profile",
        f"Share of the {len(comparisons)} problems on which an optimizer's time to target is at "
        f"most a multiple of the fastest one's. Scores: {scores}.",
        fill,
    )


def _band(result: OptimizerResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lower quartile, median and upper quartile of the lowest loss so far, [epochs]."""
    curves = [np.minimum.accumulate(run.validation_losses) for run in result.runs]
    curves = [curve for curve in curves if len(curve)]
    longest = max(map(len, curves))
    held = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves]
    low, middle, high = np.quantile(held, [0.25, 0.5, 0.75], axis=0)
    return low, middle, high


def _by_rate(result: OptimizerResult) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rates, and of each the lower quartile, the median and the upper one, [rates].

    Of runs, not between them, diverged ones as the highest; what is not finite is not a number.
    """
    lrs = np.array(sorted(result.grid))
    losses = [[run.best_loss for run in result.grid[lr]] for lr in lrs.tolist()]
    found = [
        [np.quantile(some, share, method="higher") for share in (0.25, 0.5, 0.75)]
        for some in losses
    ]
    shown = np.where(np.isfinite(found), found, np.nan).T
    return lrs, shown[0], shown[1], shown[2]


def _scale_losses(axes: Axes, losses: np.ndarray) -> None:
    """Take a logarithmic scale where losses differ by much."""
    if len(losses) and losses.min() > 0 and losses.max() / losses.min() > _WIDE:
        scale_logarithmically(axes.yaxis)


def _names(results: Sequence[OptimizerResult]) -> str:
    return ", ".join(result.name for result in results)


def _in_words(results: Sequence[OptimizerResult]) -> str:
    return " ".join(
        f"{result.name}: {result.choice.lr:g} with {result.choice.loss:.4g}."
        for result in results
        if result.choice is not None
    )
