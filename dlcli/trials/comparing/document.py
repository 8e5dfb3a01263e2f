"""A comparison as the plain data of comparison.json."""

import math
from typing import Any

from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.verdict import LEVEL, Interval, Verdict
from dlcli.trials.comparing.verdict_text import describe_verdict


def to_document(comparison: Comparison) -> dict[str, Any]:
    """Return JSON's kinds of data; what is missed or infinite is null."""
    return {
        "name": comparison.name,
        "task": comparison.task,
        "verdict": {
            "text": describe_verdict(comparison),
            "winner": comparison.verdict.winner if comparison.verdict else None,
            "best": comparison.best.name if comparison.best else None,
            "not_told_apart_from_best": comparison.rivals,
            "better_on_test": [result.name for result in comparison.better_on_test],
            **_verdict(comparison.verdict),
        },
        "target": {
            "validation_loss": comparison.target,
            "origin": "given" if comparison.target_is_given else "median of what each reaches",
        },
        "steps_per_epoch": comparison.steps_per_epoch,
        "optimizers": [_result(result, comparison) for result in comparison.results],
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"level": LEVEL, "order": [], "groups": [], "differences": []}
    return {
        "level": LEVEL,
        "order": list(verdict.order),
        "groups": [list(group) for group in verdict.groups],
        "differences": [
            {
                "better": difference.first,
                "worse": difference.second,
                "by": _interval(difference.by),
                "p_value": difference.p_value,
                "adjusted_p_value": difference.adjusted,
                "is_clear": difference.is_clear,
            }
            for difference in verdict.differences
        ],
    }


def _result(result: OptimizerResult, comparison: Comparison) -> dict[str, Any]:
    choice = result.choice
    return {
        "name": result.name,
        "settings": result.optimizer.model_dump(mode="json"),
        "lr": None if choice is None else choice.lr,
        "lr_on_edge": None if choice is None else choice.edge,
        "lrs_within_10_percent": None if choice is None else list(choice.near),
        "decades_within_10_percent": None if choice is None else choice.decades,
        "grid": [
            {"lr": lr, "losses": [_finite(run.best_loss) for run in runs]}
            for lr, runs in result.grid.items()
        ],
        "is_judged": result.is_judged,
        "diverged": {"tuning": result.num_diverged_in_tuning, "judging": result.num_diverged},
        "to_target": {
            "epochs": _finite(result.median_epochs),
            "steps": _finite(result.median_epochs * comparison.steps_per_epoch),
            "seconds": _finite(comparison.seconds_to_target(result)),
            "missed": result.num_missed,
            "of": len(result.runs),
        },
        "seconds_a_step": result.seconds_a_step,
        "figures": {
            part: {name: _interval(interval) for name, interval in figures.items()}
            for part, figures in result.figures.items()
        },
        "runs": [
            {
                "seed": run.trial.seed,
                "end": run.end,
                "steps": run.num_steps,
                "best_epoch": run.best_epoch,
                "best_validation_loss": _finite(run.best_loss),
                "epochs_to_target": epochs,
                "figures": run.figures,
            }
            for run, epochs in zip(result.runs, result.epochs_to_target, strict=True)
        ],
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {
        "mean": interval.mean,
        "low": _finite(interval.low),
        "high": _finite(interval.high),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
