"""Pictures of a comparison."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dlcli.report.charts.chart import (
    Axis,
    Band,
    Chart,
    Dots,
    Line,
    Mark,
    Panel,
    Rule,
    Spans,
    line_style,
)
from dlcli.report.picture import Picture, chart_picture
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
    bands, lines = list[Mark](), list[Mark]()
    losses = np.zeros(0)
    for index, result in enumerate(judged):
        low, middle, high = _band(result)
        x = np.arange(1, len(middle) + 1, dtype=float)
        if unit == "seconds":
            x *= comparison.steps_per_epoch * result.seconds_a_step
        color, dashes = line_style(index)
        bands.append(Band(x, low, high, color, 0.15))
        lines.append(Line(x, middle, result.name, color, dashes))
        losses = np.concatenate([losses, low, middle, high])
    if comparison.target is not None:
        lines.append(Rule(comparison.target, "y", "target", dashes=3))
    time = Axis("training time of a run by itself [s]")
    panel = Panel(
        [*bands, *lines],
        Axis("epochs", is_integer=True) if unit == "epochs" else time,
        Axis("lowest validation loss so far", is_log=_is_wide(losses)),
    )
    return chart_picture(
        f"loss-against-{unit}",
        f"Validation loss against {unit}",
        f"Lowest validation loss so far against {unit} for {_names(judged)}: median over the seeds "
        "(line) and interquartile range (band).",
        Chart(((panel,),)),
    )


def rates(comparison: Comparison) -> Picture:
    """Draw each optimizer's loss against its learning rates, the others' behind it."""
    results = comparison.results
    lines = [_by_rate(result) for result in results]
    finite = np.concatenate([middle[np.isfinite(middle)] for _, _, middle, _ in lines])
    # Losses at the highest rates, just before runs diverge, would squeeze all others.
    top = _MARGIN * float(np.quantile(finite, _SHOWN)) if len(finite) else 1.0
    bottom = float(finite.min()) / _MARGIN if len(finite) and finite.min() > 0 else None
    is_log = _is_wide(finite[finite <= top])
    columns = min(_PANELS_PER_ROW, len(results))
    panels = []
    for index, (result, (lrs, low, middle, high)) in enumerate(zip(results, lines, strict=True)):
        marks: list[Mark] = [
            Line(other, loss, color="ink", opacity=0.15, width=0.8, has_tooltip=False)
            for other, _, loss, _ in lines
        ]
        known = np.isfinite(high)
        marks.append(Band(lrs[known], low[known], high[known], 0, 0.15))
        marks.append(Line(lrs, middle, is_marked=True))
        if result.choice is not None:
            marks.append(Dots([result.choice.lr], [result.choice.loss], color=1, size=8.0))
        has_one_below = index + columns < len(results)
        x = Axis("learning rate", is_log=True, max_ticks=3, is_hidden=has_one_below)
        is_hidden = index % columns > 0
        y = Axis("validation loss", bottom, top, is_log=is_log, is_hidden=is_hidden)
        panels.append(Panel(marks, x, y, title=result.name))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    return chart_picture(
        "loss-against-learning-rate",
        "Validation loss against learning rate",
        "Validation loss of the best epoch against the learning rate: median over the tuning seeds "
        "(line) and interquartile range (band); the dot marks the chosen rate. "
        f"{_in_words(results)} Rates at which half of the runs diverged have no point.",
        Chart(rows, height=150.0 * len(rows)),
    )


def differences(comparison: Comparison) -> Picture | None:
    """Draw how much higher the others' losses are than the best one's, with intervals."""
    verdict = comparison.verdict
    if verdict is None:
        return None
    best = verdict.order[0]
    others = [difference for difference in verdict.differences if difference.first == best]
    marks: list[Mark] = []
    for row, difference in enumerate(others):
        color = 1 if difference.is_clear else 0
        high, low = -difference.by.low, -difference.by.high
        if np.isfinite(high - low):
            marks.append(Spans([low], [row], [high], [row], color, 1.8))
        shape: Literal["dot", "diamond"] = "dot" if difference.is_clear else "diamond"
        marks.append(Dots([-difference.by.mean], [row], color=color, shape=shape, size=8.0))
    names = [(row, difference.second) for row, difference in enumerate(others)]
    panel = Panel(
        [*marks, Rule(0.0, "x")],
        Axis(f"validation loss − {best}'s on the same seed"),
        Axis(low=-0.5, high=len(others) - 0.5, is_flipped=True, ticks=names),
    )
    clear = [difference.second for difference in others if difference.is_clear]
    return chart_picture(
        "differences",
        f"Differences from {best}",
        f"Mean paired differences in validation loss from {best}, with individual 95 % confidence "
        "intervals. Dots: higher after correction for all pairs; diamonds: can't be told apart. "
        f"Clearly higher: {', '.join(clear) or 'none'}.",
        Chart(((panel,),), height=20.0 + 32.0 * len(others)),
    )


def profiles_picture(comparisons: Sequence[Comparison], profiles: Sequence[Profile]) -> Picture:
    """Draw the share of the problems on which each is within a ratio of the fastest."""
    marks = []
    for index, profile in enumerate(profiles):
        steps = sorted({1.0, LARGEST_RATIO, *(r for r in profile.ratios if r < LARGEST_RATIO)})
        shares = [share_within(profile.ratios, ratio) for ratio in steps]
        x, y = np.repeat(steps, 2)[1:], np.repeat(shares, 2)[:-1]  # flat up to the next step
        marks.append(Line(x, y, f"{profile.name}  {profile.score:.2f}", *line_style(index)))
    panel = Panel(
        marks,
        Axis("time to target, relative to the fastest", 1.0, LARGEST_RATIO),
        Axis("share of the problems", -0.02, 1.02),
    )
    scores = ", ".join(f"{profile.name} {profile.score:.2f}" for profile in profiles)
    return chart_picture(
        "performance-profile",
        "Performance profile",
        f"Share of the {len(comparisons)} problems on which an optimizer's time to target is at "
        f"most a multiple of the fastest one's. Scores: {scores}.",
        Chart(((panel,),), legend_title="optimizer and score"),
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


def _is_wide(losses: np.ndarray) -> bool:
    """Return whether losses differ by so much that a logarithmic scale shows more."""
    return bool(len(losses) and losses.min() > 0 and losses.max() / losses.min() > _WIDE)


def _names(results: Sequence[OptimizerResult]) -> str:
    return ", ".join(result.name for result in results)


def _in_words(results: Sequence[OptimizerResult]) -> str:
    return " ".join(
        f"{result.name}: {result.choice.lr:g} with {result.choice.loss:.4g}."
        for result in results
        if result.choice is not None
    )
