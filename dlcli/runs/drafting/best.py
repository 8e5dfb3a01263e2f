"""The rules of `dlcli init --effort best`: a search around the network of `standard`."""

from dataclasses import replace
from typing import Any

from dlcli.runs.drafting.recipe import KnownRows, Recipe
from dlcli.runs.drafting.standard import LR_CLASSES, LR_NUMBERS, standard_recipe

_TIME = "10m"
_TRIALS = 64
_RATE_FACTOR = 5  # around the learning rate of `standard`
_HALVING = 3


def best_shares() -> tuple[dict[str, float], str]:
    """Return the fractions of validation and test rows, and the reason."""
    return {"validation": 0.2, "test": 0.2}, (
        "The search looks at the validation and training rows; the test rows are used once, at the "
        "end."
    )


def best_recipe(known: KnownRows) -> Recipe:
    """Return what `standard` would, and a search over its settings."""
    standard = standard_recipe(known)
    if known.why_no_search:
        why = f"as standard, without a search: {known.why_no_search}"
        return replace(standard, outlook=f"{standard.outlook}; {why}")
    tune: dict[str, Any] = {
        "space": _space(known, standard),
        "trials": _TRIALS,
        "halving": {"factor": _HALVING},
        "time": _TIME,
    }
    if known.num_folds is not None:
        tune["folds"] = known.num_folds
    return replace(
        standard,
        sections={**standard.sections, "tune": tune},
        comments={
            **standard.comments,
            ("tune",): "The search of dlcli tune; it begins with the settings above, and dlcli "
            "train takes them as they are.",
            ("tune", "time"): "Of the search; the ensemble of the best is trained after it.",
        },
        outlook=f"a search of {_TIME}",
        command="tune",
    )


def _space(known: KnownRows, standard: Recipe) -> dict[str, Any]:
    rate = LR_NUMBERS if known.seen.task == "regression" else LR_CLASSES
    space: dict[str, Any] = {
        "optimizer.lr": {"log": [rate / _RATE_FACTOR, rate * _RATE_FACTOR]},
        "optimizer.weight_decay.start": {"log": [0.002, 0.2]},
    }
    for index, layer in enumerate(standard.layers):
        if "rate" in layer:  # of dropout
            space[f"model.layers[{index}].rate.start"] = {"uniform": [0.0, 0.5]}
    return space
