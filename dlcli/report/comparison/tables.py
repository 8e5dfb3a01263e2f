"""A comparison's results as tables."""

import math
from collections.abc import Sequence
from string import ascii_lowercase

from dlcli.metrics import metric_of
from dlcli.numbers import error_text, fixed_text
from dlcli.report.table import TextTable
from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.profiles import LARGEST_RATIO, Profile
from dlcli.trials.comparing.verdict import Interval


def comparison_table(comparison: Comparison) -> TextTable:
    """Return a row for each optimizer, the best first."""
    headline = _headline(comparison)
    letters = _letters(comparison)
    titles = ("optimizer", "group", "lr", "within 10 %", "validation loss", *headline)
    rows = [
        (
            result.name,
            letters.get(result.name, ""),
            *_rate(result),
            _interval(result.interval("validation", "loss")),
            *(_interval(result.interval(*title.split(" ", 1))) for title in headline),
            _number(result.median_epochs),
            _number(comparison.seconds_to_target(result)),
            f"{result.num_missed} of {len(result.runs)}" if result.runs else "",
            str(result.num_diverged_in_tuning + result.num_diverged or ""),
        )
        for result in comparison.results
    ]
    target = comparison.target
    origin = (
        "given"
        if comparison.target_is_given
        else "the median of what the optimizers reach; for classes, at least 1 % of the first loss"
    )
    note = (
        "Means over the seeds ± 95 % confidence intervals. Optimizers that share a letter can't be "
        "told apart. within 10 %: the rates around the chosen one with at most 10 % higher loss. "
    )
    if target is not None:
        note += (
            f"epochs, seconds: median time until the validation loss is {target:.4g} ({origin}), "
            "in seconds of a run by itself. missed: runs that never reached it. "
        )
    note += "diverged: number of runs, tuning included."
    titles = (*titles, "epochs", "seconds", "missed", "diverged")
    return TextTable(titles, tuple(rows), note)


def profiles_table(comparisons: Sequence[Comparison], profiles: Sequence[Profile]) -> TextTable:
    """Return a row for each optimizer over several problems, the best score first."""
    return TextTable(
        ("optimizer", "score", *(comparison.name for comparison in comparisons)),
        tuple(
            (profile.name, fixed_text(profile.score), *map(_number, profile.times))
            for profile in profiles
        ),
        "Median seconds until each problem's target is reached, in a run by itself. score: "
        f"AlgoPerf's, the mean of the performance profile from 1 to {LARGEST_RATIO:g} times the "
        "fastest: 1 for an optimizer that is always the fastest, 0 for one that never comes close.",
    )


def _headline(comparison: Comparison) -> tuple[str, ...]:
    """Return the figures of the test rows that are shown: the loss and the first other one."""
    for result in comparison.results:
        if figures := list(result.figures.get("test", {})):
            others = [name for name in figures[1:] if metric_of(name) != "loss"]
            return tuple(f"test {name}" for name in (*figures[:1], *others[:1]))
    return ()


def _letters(comparison: Comparison) -> dict[str, str]:
    """Return each optimizer's groups as letters."""
    found: dict[str, str] = {}
    for index, group in enumerate(comparison.verdict.groups if comparison.verdict else ()):
        letter = ascii_lowercase[index] if index < len(ascii_lowercase) else f"({index})"
        for name in group:
            found[name] = found.get(name, "") + letter
    return found


def _rate(result: OptimizerResult) -> tuple[str, str]:
    choice = result.choice
    if choice is None:
        return "none", ""
    low, high = choice.near
    edge = ", edge" if choice.edge else ""
    return f"{choice.lr:g}{edge}", f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return error_text(interval.mean, interval.high - interval.mean)


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "missed"
