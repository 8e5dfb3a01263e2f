"""The rules of `dlcli init --effort standard`: RealMLP's network, an ensemble of folds.

What differs from RealMLP was chosen on the tables and splits that `benchmarks/tables.py` keeps for
choosing.
"""

from dataclasses import dataclass
from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.metrics import MetricName
from dlcli.runs.drafting.outlook import expected_seconds, row_seconds, seconds_text
from dlcli.runs.drafting.realmlp import SCALE, multiply_adds, realmlp_layers, realmlp_optimizer
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER

_BATCH_SIZE = 256
_MAX_ROWS_FOLDED, _FOLDS = 100_000, 5  # above, a single network
_MAX_ROWS_REPEATED, _REPEATS = 2_000, 2  # a second cut helps where few rows decide, a third didn't
# Epochs fall with rows, so that training takes about a minute, and more only above so many rows.
_MAX_ROWS_A_MINUTE, _TIMES_ABOVE = 20_000, 3
_MIN_EPOCHS_ALONE, _TIMES_ALONE = 8, 12  # of a single network
_USUAL_COLUMNS = 20  # tables with more have fewer epochs


@dataclass(frozen=True)
class _Rules:
    """What differs between targets."""

    units: int  # of each hidden layer
    min_epochs: int
    max_epochs: int
    rows_times_epochs: int  # of five folds: about a minute on two cores
    metric: MetricName  # that the best epoch is kept by
    patience: int | None  # epochs; None: as many as there are
    why_stopping: str


# Half of RealMLP's units: as good in an ensemble of folds, better on few rows, and twice as fast.
# No smoothing of labels, unlike RealMLP: the mean of several networks isn't overconfident.
_CLASSES = _Rules(
    units=128,
    min_epochs=32,
    max_epochs=256,
    rows_times_epochs=960_000,
    metric="loss",
    patience=32,
    why_stopping="Ends networks whose best epoch is past; the best weights are kept.",
)
_NUMBERS = _Rules(
    units=256,
    min_epochs=25,
    max_epochs=128,
    rows_times_epochs=500_000,
    metric="mae",
    patience=None,  # the best epochs are those of the last cycle of the schedule
    why_stopping="Training never stops early; the best weights by absolute errors are kept. Their "
    "epoch is later than that of squared errors: each network overfits a little more, their mean "
    "less.",
)


def wanted_folds(num_rows: int) -> int | None:
    """Return how many folds such a table has; None: a single network with validation rows."""
    return _FOLDS if num_rows <= _MAX_ROWS_FOLDED else None


def why_folded(*, has_validation: bool) -> str:
    """Say which rows do what where there are folds, and validation rows for other commands."""
    text = "The test rows are used once, at the end; all others are cut into folds."
    if not has_validation:
        return text
    return f"{text} Commands without folds, such as dlcli find-lr, have validation rows."


def standard_recipe(known: KnownRows) -> Recipe:
    """Return RealMLP for the rows, trained in folds where they have some."""
    rules = _NUMBERS if known.seen.task == "regression" else _CLASSES
    layers = realmlp_layers(known, rules.units)
    sections: dict[str, Any] = {
        "optimizer": realmlp_optimizer(known.seen.task),
        "schedule": {"type": "coslog"},
        "training": _training(known, rules),
    }
    if known.num_folds is not None:
        repeats = _num_repeats(known)
        folds = {"folds": known.num_folds, "repeats": repeats}
        sections["folds"] = folds if repeats > 1 else known.num_folds
    return Recipe(
        layers,
        sections,
        _comments(known, rules, layers),
        outlook=_outlook(known, rules),
        data={"scale": "robust_clip"} if known.num_numeric else {},
    )


def _training(known: KnownRows, rules: _Rules) -> dict[str, Any]:
    epochs = _num_epochs(known, rules)
    section: dict[str, Any] = {"batch_size": _BATCH_SIZE, "epochs": epochs}
    if _is_watched(known):
        metric = {} if rules.metric == "loss" else {"metric": rules.metric}
        section["early_stopping"] = {**metric, "patience": rules.patience or epochs}
    return section


def _is_watched(known: KnownRows) -> bool:
    """Whether networks have rows to stop early by."""
    return known.num_folds is not None or known.has_validation


def _num_repeats(known: KnownRows) -> int:
    return _REPEATS if known.seen.num_rows <= _MAX_ROWS_REPEATED else 1


def _num_networks(known: KnownRows) -> int:
    return 1 if known.num_folds is None else known.num_folds * _num_repeats(known)


def _num_epochs(known: KnownRows, rules: _Rules) -> int:
    num_rows, least, times = known.seen.num_rows, rules.min_epochs, 1
    if known.num_folds is None:
        least, times = _MIN_EPOCHS_ALONE, _TIMES_ALONE
    elif num_rows > _MAX_ROWS_A_MINUTE:
        times = _TIMES_ABOVE
    usual = _row_seconds(rules, _USUAL_COLUMNS, _USUAL_COLUMNS)
    share = min(1.0, usual / _row_seconds(rules, known.num_inputs, known.num_numeric))
    most = int(share * times * rules.rows_times_epochs / num_rows)
    return max(least, min(rules.max_epochs, most))


def _row_seconds(rules: _Rules, num_inputs: int, num_numeric: int) -> float:
    amount = multiply_adds(rules.units, num_inputs=num_inputs, num_numeric=num_numeric)
    return row_seconds(num_numeric=num_numeric, multiply_adds=amount)


def _outlook(known: KnownRows, rules: _Rules) -> str:
    epochs, num_networks = _num_epochs(known, rules), _num_networks(known)
    networks = "one network"
    if num_networks > 1:
        networks = f"{num_networks} networks by cross-validation"
    stops = _is_watched(known) and rules.patience is not None
    seconds = expected_seconds(
        num_networks=num_networks,
        num_epochs=epochs,
        num_rows=known.num_train,
        of_row=_row_seconds(rules, known.num_inputs, known.num_numeric),
    )
    at_most = " at most" if stops else ""
    return f"{networks}, {epochs} epochs{at_most}; {seconds_text(seconds)}"


def _comments(known: KnownRows, rules: _Rules, layers: Layers) -> dict[KeyPath, str]:
    comments: dict[KeyPath, str] = {
        ("model", "layers"): "RealMLP (arXiv:2407.04491), with the settings that its authors tuned "
        "on many tables: hidden layers whose activations have learned parts, and dropout that "
        "ends at 0.",
        ("model", "layers", len(layers) - 1): OUTPUT_LAYER,
        ("model", "layers", layers.index(SCALE)): "A learned factor for each input: what is of no "
        "use is soon scaled down.",
        ("optimizer", "weight_decay"): "Ends at 0, as dropout does.",
        ("schedule",): "Cosine cycles, each twice as long as the one before.",
        ("training", "epochs"): "Fewer where there are more rows, for training to take no longer.",
    }
    if known.num_numeric:
        comments["data", "scale"] = "By median and quartiles; outliers are bent to ±3."
        comments["model", "layers", 0] = (
            "Each numeric column, and cosines of learned frequencies of it."
        )
    if _is_watched(known):
        comments["training", "early_stopping"] = rules.why_stopping
    if known.num_folds is not None:
        comments["folds",] = (
            "Each row is held out from some networks, which keep their best epoch by these rows; "
            f"predictions are the mean of all {_num_networks(known)}."
        )
    elif known.why_no_folds:
        comments["training",] = f"A single network, without folds: {known.why_no_folds}."
    return comments
