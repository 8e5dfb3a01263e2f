"""What a search found, as the data of search.json."""

from typing import Any

from dlcli.trials.comparing.verdict import Interval
from dlcli.trials.searching.findings import Findings, Judged
from dlcli.trials.searching.importance import Importance
from dlcli.trials.searching.optimism import Optimism
from dlcli.trials.searching.search import Entry


def to_document(found: Findings) -> dict[str, Any]:
    """Return the JSON object of a search."""
    best, configured = found.best, found.configured
    return {
        "name": found.name,
        "metric": found.tune.metric,
        "higher_is_better": found.is_higher_better,
        "space": {
            one.key: one.spread.model_dump(mode="json", exclude_none=True)
            for one in found.space.dimensions
        },
        "epochs": list(found.rungs),
        "folds": found.tune.folds,
        "tried": found.num_tried,
        "asked_for": found.tune.trials,
        "why_fewer": found.shortfall,
        "refused": [one.model_dump(mode="json") for one in found.refused],
        "best": None if best is None else _entry(best),
        "as_configured": None if configured is None else _entry(configured),
        "trials": [_entry(entry) for entry in found.entries],
        "importance": _importance(found.importances),
        "optimism": _optimism(found.optimism),
        "ensemble": None
        if found.ensemble is None
        else {
            "networks": found.ensemble.num_networks,
            "shares": {str(trial): share for trial, share in found.ensemble.shares.items()},
            **found.ensemble.figures,
        },
        "fresh_seeds": {
            "best": _judged(found.judged_best),
            "as_configured": _judged(found.judged_config),
            "difference": {
                part: _interval(interval)
                for part in ("validation", "test")
                if (interval := found.gain(part)) is not None
            },
        },
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "trial": entry.number,
        "settings": dict(entry.settings),
        "epochs": entry.epochs,
        "best_epochs": entry.best_epochs,
        "diverged": not entry.is_sound,
        "figure": entry.figure,
        "validation": {name: entry.mean(name) for name in _names(entry)},
    }


def _names(entry: Entry) -> list[str]:
    """Return the figures that the trials of an entry have."""
    return list((entry.results[0].figures or {}).get("validation", {}))


def _importance(found: tuple[Importance, ...] | str) -> list[dict[str, Any]] | str:
    if isinstance(found, str):
        return found
    return [
        {
            "key": one.key,
            "share": one.share,
            "low": one.low,
            "high": one.high,
            "p_value": one.p_value,
            "clear": one.is_clear,
            "best_value": one.best_value if one.is_clear else None,
        }
        for one in found
    ]


def _optimism(found: Optimism | str) -> dict[str, Any] | str:
    if isinstance(found, str):
        return found
    return {
        "seen": found.seen,
        "expected": found.expected,
        "low": found.low,
        "high": found.high,
        "difference": found.difference,
        "settings": found.num_settings,
    }


def _judged(judged: Judged | None) -> dict[str, Any] | None:
    if judged is None:
        return None
    found: dict[str, Any] = {"seeds": [run.trial.seed for run in judged.runs]}
    for part, figure in judged.names:
        interval = judged.interval(part, figure)
        if interval is not None:
            found.setdefault(part, {})[figure] = _interval(interval)
    return found


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
