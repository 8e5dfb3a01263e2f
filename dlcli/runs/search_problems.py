"""Problems of `tune`: keys that a search can't set, values that the config refuses."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import islice, product
from typing import Any

from dlcli.config import LoadedConfig
from dlcli.config.loading import change_config
from dlcli.config.sections.tune import Spread
from dlcli.data.dataset import Dataset
from dlcli.errors import ConfigError, Problem
from dlcli.metrics import figures_of, why_undefined

_SAME_ROWS = "decides which rows there are, or what is predicted of them: trials can't be compared"
_NO_RESULT = "changes no result of a trial"
_ROW_KEYS = (
    *("data.path", "data.query", "data.sheet", "data.target", "data.task", "data.split", "seed"),
    "data.window",
    *("data.validation_path", "data.test_path", "data.weight", "data.missing_values"),
    *("data.drop_missing_target", "folds"),
)
_RESULTLESS_KEYS = (
    *("name", "report", "trackers", "checkpoint", "compare", "tune"),
    *("training.threads", "training.device", "training.engine"),
)
_FIXED = {
    **dict.fromkeys(_ROW_KEYS, _SAME_ROWS),
    **dict.fromkeys(_RESULTLESS_KEYS, _NO_RESULT),
    "training.max_seconds": "has no say in a search: trials end by their epochs",
}
_OTHER_LOSSES = ("loss", "data.target_scale")
_MAX_COMBINED = 64  # values of other keys that a key's values are tried with
Changes = dict[str, Any]


def search_problems(loaded: LoadedConfig, dataset: Dataset | None) -> Iterator[Problem]:
    """Yield the problems of `tune`; those of its metric where the data are known."""
    tune = loaded.config.tune
    if "tune" in loaded.doubtful or "tune" not in loaded.config.model_fields_set:
        return
    if tune.sampler == "tpe" and find_spec("optuna") is None:
        missing = "tpe needs Optuna, which is not installed: pip install 'dlcli[optuna]'"
        yield loaded.problem(("tune", "sampler"), f"{missing}; or take sobol")
    if dataset is not None:
        yield from _metric_problems(loaded, dataset)
    if tune.space is None or loaded.problems:
        return
    for key, spread in tune.space.items():
        path = ("tune", "space", key)
        reason = _why_fixed(loaded, key)
        if reason is None:
            reason = _why_refused(loaded, key, spread, tune.space)
        if reason is not None:
            yield loaded.problem(path, reason)


def _metric_problems(loaded: LoadedConfig, dataset: Dataset) -> Iterator[Problem]:
    metric, known = loaded.config.tune.metric, figures_of(dataset.fitted.target)
    values = dataset.target_values.get("validation")
    if metric not in known:
        yield loaded.problem(
            ("tune", "metric"),
            f"{dataset.target_text} has no {metric}; use one of {', '.join(known)}",
        )
    elif reason := why_undefined(metric, values):
        others = [name for name in known if not why_undefined(name, values)]
        yield loaded.problem(
            ("tune", "metric"),
            f"{metric} has no value on the validation rows: {reason}; judge by another metric "
            f"({', '.join(others)}), or hold out other rows (data.split)",
        )


def _why_fixed(loaded: LoadedConfig, key: str) -> str | None:
    """Return why a search can't set a key; None: it can."""
    tune = loaded.config.tune
    for fixed, reason in _FIXED.items():
        if _lies_within(key, fixed):
            return f"a search can't set {fixed}, which {reason}"
    if key == "data":
        return "a search can't set all of data; name the keys, as data.scale"
    if key == "training.epochs" and tune.halving is not None:
        return (
            "tune.halving gives trials their epochs, up to training.epochs; leave one of the two "
            "out"
        )
    if tune.metric == "loss" and any(_lies_within(key, other) for other in _OTHER_LOSSES):
        return (
            f"trials with another {key} can't be compared by their loss; name a metric, as in "
            "tune.metric: accuracy, or rmse"
        )
    return None


def _lies_within(key: str, section: str) -> bool:
    return key == section or key.startswith((f"{section}.", f"{section}["))


def _why_refused(
    loaded: LoadedConfig, key: str, spread: Spread, space: Mapping[str, Spread]
) -> str | None:
    """Return why the config refuses a value of a key, whatever its neighbours' values are.

    Values that it refuses only beside some values of others are left out as the search goes.
    """
    neighbours = {
        other: values.choice
        for other, values in space.items()
        if values.choice is not None and other != key and _decides(other, key)
    }
    combined = [
        dict(zip(neighbours, values, strict=True))
        for values in islice(product(*neighbours.values()), _MAX_COMBINED)
    ]
    found: list[tuple[Any, str | None]] = []
    for value in spread.bounds if spread.choice is None else spread.choice:
        reasons = [_refusal(loaded, {**changes, key: value}, key) for changes in combined]
        found.append((value, None if None in reasons else reasons[0]))
    if len({text for _, text in found}) == 1:  # it is the key, not a value
        return found[0][1]
    return next((f"{value!r}: {text}" for value, text in found if text is not None), None)


def _decides(other: str, key: str) -> bool:
    """Whether another key may decide which values a key can have: its section, or its type."""
    return key.startswith(f"{other.removesuffix('.type')}.")


def _refusal(loaded: LoadedConfig, changes: Changes, key: str) -> str | None:
    try:
        change_config(loaded, changes)
    except ConfigError as error:
        problems = [
            problem.message if problem.path in ("", key) else f"{problem.path}: {problem.message}"
            for problem in error.problems
        ]
        return "; ".join(dict.fromkeys(problems))
    return None
