"""The rules of `dlcli init --effort best`: a search around the network of `standard`."""

from dataclasses import replace
from typing import Any

from dlcli.runs.drafting.realmlp import EMBEDDING, SCALE, WEIGHT_DECAY
from dlcli.runs.drafting.recipe import KnownRows, Recipe
from dlcli.runs.drafting.standard import standard_recipe

_TIME = "10m"
_TRIALS = 100  # more than the time allows but for tables of few rows
_LR_FACTORS = (0.25, 2.5)  # times that of `standard`; above, losses were clearly higher
_WEIGHT_DECAYS = [0.0, WEIGHT_DECAY]
_SIGMAS = [0.05, 1.0]  # of the frequencies that numeric columns are embedded with
_SCALE_LR_FACTORS = [1.0, 6.0, 12.0]
_ACTIVATIONS = ["selu", "mish", "silu", "relu"]
_DROPOUTS = [0.0, 0.3]


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
        "space": _space(standard),
        "trials": _TRIALS,
        "time": _TIME,
    }
    after = "the best settings are trained once more, for the ensemble that the search leaves"
    if known.num_folds is not None:
        tune["folds"] = known.num_folds
        after = "only fresh seeds check the best settings; the search leaves an ensemble of them"
    return replace(
        standard,
        sections={**standard.sections, "tune": tune},
        comments={
            **standard.comments,
            ("tune",): "The search of dlcli tune; it begins with the settings above, and dlcli "
            "train takes them as they are.",
            ("tune", "space", "optimizer.lr"): "Around the learning rate of the config.",
            ("tune", "trials"): "At most; the time decides where there are more than a few rows.",
            ("tune", "time"): f"After it, {after}, which dlcli predict takes.",
        },
        outlook=f"a search of {_TIME}",
        command="tune",
    )


def _space(standard: Recipe) -> dict[str, Any]:
    rate = standard.sections["optimizer"]["lr"]
    low, high = (float(f"{rate * factor:.3g}") for factor in _LR_FACTORS)
    space: dict[str, Any] = {
        "optimizer.lr": {"log": [low, high]},
        "optimizer.weight_decay.start": {"choice": _WEIGHT_DECAYS},
    }
    for index, layer in enumerate(standard.layers):
        here = f"model.layers[{index}]"
        if layer == EMBEDDING:
            space[f"{here}.sigma"] = {"log": _SIGMAS}
        elif layer == SCALE:
            space[f"{here}.lr_factor"] = {"choice": _SCALE_LR_FACTORS}
        elif "units" in layer:
            units = layer["units"]
            space[f"{here}.units"] = {"choice": [units // 2, units, 2 * units]}
        elif "activation" in layer:
            space[f"{here}.activation"] = {"choice": _ACTIVATIONS}
        elif "rate" in layer:
            space[f"{here}.rate.start"] = {"uniform": _DROPOUTS}
    return space
