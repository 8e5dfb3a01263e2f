"""A comparison as the plain data of comparison.json."""

import math
from typing import Any

from dlcli.trials.comparing.comparison import Comparison, OptimizerResult
from dlcli.trials.comparing.verdict import LEVEL, Interval, Verdict
from dlcli.trials.comparing.verdict_text import describe_verdict


def to_document(comparison: Comparison) -> dict[str, Any]:
    """Return JSON's kinds of data; what is missed or endless is null."""
    return {
        "name": comparison.name,
        "task": comparison.task,
        "verdict": {
            "text": describe_verdict(comparison),
            "winner": comparison.verdict.winner if comparison.verdict else None,
            "best": comparison.best.name if comparison.best else None,
            "not_told_apart_from_best": comparison.rivals,
            **_verdict(comparison.verdict),
        },
        "target": {
            "validation_loss": comparison.target,
            "origin": "given" if comparison.target_is_given else "median of what each reaches",
        },
        "steps_per_epoch": comparison.steps_per_epoch,
        "optimizers": [_standing(own, comparison) for own in comparison.standings],
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
                "better": own.first,
                "worse": own.second,
                "by": _interval(own.by),
                "p_value": own.p_value,
                "adjusted_p_value": own.adjusted,
                "is_clear": own.is_clear,
            }
            for own in verdict.differences
        ],
    }


def _standing(own: OptimizerResult, comparison: Comparison) -> dict[str, Any]:
    choice = own.choice
    return {
        "name": own.name,
        "settings": own.optimizer.model_dump(mode="json"),
        "lr": None if choice is None else choice.lr,
        "lr_on_edge": None if choice is None else choice.edge,
        "lrs_within_10_percent": None if choice is None else list(choice.serving),
        "decades_within_10_percent": None if choice is None else choice.decades,
        "grid": [
            {"lr": lr, "losses": [_finite(run.best_loss) for run in runs]}
            for lr, runs in own.grid.items()
        ],
        "is_judged": own.is_judged,
        "diverged": {"tuning": own.num_diverged_in_tuning, "judging": own.num_diverged},
        "to_target": {
            "epochs": _finite(own.median_epochs),
            "steps": _finite(own.median_epochs * comparison.steps_per_epoch),
            "seconds": _finite(comparison.seconds_to_target(own)),
            "missed": own.num_missed,
            "of": len(own.runs),
        },
        "seconds_a_step": own.seconds_a_step,
        "figures": {
            part: {name: _interval(interval) for name, interval in figures.items()}
            for part, figures in own.figures.items()
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
            for run, epochs in zip(own.runs, own.epochs_to_target, strict=True)
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
