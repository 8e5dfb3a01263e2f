"""The figures of forecasts that need no network, on the windows that a network is judged on."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dlcli.data.fitted import FittedData
from dlcli.data.windows.baselines import Baseline, baselines, blocks
from dlcli.data.windows.windows import Windows
from dlcli.metrics import metrics_for
from dlcli.metrics.accumulator import MetricAccumulator
from dlcli.metrics.rows import ScoredRows
from dlcli.metrics.steps import StepFigures
from dlcli.targets.base import Target


def score_baselines(
    fitted: FittedData, parts: Mapping[str, Windows], judged: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures of each baseline on the judged parts: by part, then by baseline.

    The ridge is fitted to the training windows, its penalty chosen on the validation windows.
    """
    found = baselines(fitted, parts["train"], parts.get("validation"))
    return {name: score(found, fitted.target, parts[name]) for name in judged}


def score(found: Iterable[Baseline], target: Target, windows: Windows) -> dict[str, Any]:
    """Return the figures of each baseline on some windows of its series."""
    return {
        baseline.name: {
            "explanation": baseline.explanation,
            **_figures(baseline, target, windows),
        }
        for baseline in found
    }


def _figures(baseline: Baseline, target: Target, windows: Windows) -> dict[str, Any]:
    metrics = metrics_for(target.task)
    accumulator = MetricAccumulator(metrics, is_streamed=True)
    steps = StepFigures(metrics, target.step_names)
    for origins in blocks(windows.origins):
        predictions = target.to_target_units(baseline.forecast(origins))
        truth = target.truth(windows.series.targets_at(origins))
        accumulator.add(ScoredRows(target.scored(predictions), target.scored(truth)))
        steps.add(target.by_step(predictions), target.by_step(truth))
    return {**accumulator.figures(), "by_step": steps.figures()}
