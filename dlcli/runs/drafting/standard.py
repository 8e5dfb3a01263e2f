"""The rules of `dlcli init --effort standard`: RealMLP's network, an ensemble of folds.

Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", arXiv:2407.04491: its parts and the
settings that its authors tuned on other tables, but for label smoothing, as the log loss judges.
"""

from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.runs.drafting.outlook import seconds_text
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER

_UNITS = 256  # of each hidden layer
_NUM_HIDDEN = 3
_DROPOUT = 0.15
WEIGHT_DECAY = 0.02
_EMBEDDING = 4  # numbers that stand for a numeric column
_LR_CLASSES, _LR_NUMBERS = 0.04, 0.2
_BATCH_SIZE = 256
EMBEDDING: dict[str, Any] = {"type": "numeric_embedding", "kind": "pbld", "lr_factor": 0.1}
SCALE: dict[str, Any] = {"type": "scale", "lr_factor": 6.0}
_FOLDS, _FEW_FOLDS = 5, 3
_MAX_ROWS, _MAX_ROWS_FEW = 20_000, 100_000  # for so many folds; above, a single network
# Epochs fall as rows grow, so that an ensemble takes about a minute on two cores.
_ROWS_TIMES_EPOCHS = 960_000
_MAX_EPOCHS, _MIN_EPOCHS = 256, 32
# A single network may take a few minutes.
_ALONE_ROWS_TIMES_EPOCHS = 8_000_000
_MIN_EPOCHS_ALONE = 8
_PATIENCE = 0.25  # of the epochs


def wanted_folds(num_rows: int) -> int | None:
    """Return how many folds such a table has; None: a single network with validation rows."""
    if num_rows <= _MAX_ROWS:
        return _FOLDS
    return _FEW_FOLDS if num_rows <= _MAX_ROWS_FEW else None


def why_folded(*, has_validation: bool) -> str:
    """Say which rows do what where there are folds, and validation rows for other commands."""
    text = "The test rows are used once, at the end; all others are cut into folds."
    if not has_validation:
        return text
    return f"{text} Commands without folds, such as dlcli find-lr, have validation rows."


def standard_recipe(known: KnownRows) -> Recipe:
    """Return RealMLP for the rows, trained in folds where they have some."""
    layers = _layers(known)
    epochs = _num_epochs(known)
    is_class = known.seen.task != "regression"
    training: dict[str, Any] = {"batch_size": _BATCH_SIZE, "epochs": epochs}
    sections: dict[str, Any] = {
        "optimizer": {
            "type": "adamw",
            "lr": _LR_CLASSES if is_class else _LR_NUMBERS,
            "betas": [0.9, 0.95],
            "weight_decay": {"type": "flat_cosine", "start": WEIGHT_DECAY},
        },
        "schedule": {"type": "coslog"},
        "training": training,
    }
    networks = "one network"
    if known.num_folds is not None:
        sections["folds"] = known.num_folds
        networks = f"{known.num_folds} networks by cross-validation"
    takes = seconds_text(known.num_train * epochs * (known.num_folds or 1), _multiply_adds(known))
    outlook = f"{networks}, {epochs} epochs; {takes}"
    return Recipe(
        layers,
        sections,
        _comments(known, layers),
        outlook=outlook,
        data={"scale": "robust_clip"} if known.num_numeric else {},
    )


def _layers(known: KnownRows) -> Layers:
    dense: dict[str, Any] = {
        "type": "dense",
        "units": _UNITS,
        "parametrization": "ntk",
        "init": "unit_variance",
        "bias_init": "data_hull",
        "lr_factor": {"bias": 0.1},
        "weight_decay_factor": {"bias": 0},
    }
    activation = "mish" if known.seen.task == "regression" else "selu"
    hidden: Layers = [
        dense,
        {"type": "parametric_activation", "activation": activation, "lr_factor": 0.1},
        {"type": "dropout", "rate": {"type": "flat_cosine", "start": _DROPOUT}},
    ]
    last = {key: value for key, value in dense.items() if key != "units"}
    return [
        *([EMBEDDING] if known.num_numeric else []),
        SCALE,
        *hidden * _NUM_HIDDEN,
        last,
    ]


def _num_epochs(known: KnownRows) -> int:
    if known.num_folds is None:
        most = _ALONE_ROWS_TIMES_EPOCHS // known.seen.num_rows
        return max(_MIN_EPOCHS_ALONE, min(_MAX_EPOCHS, most))
    most = _ROWS_TIMES_EPOCHS // known.seen.num_rows
    return max(_MIN_EPOCHS, min(_MAX_EPOCHS, most))


def _multiply_adds(known: KnownRows) -> int:
    """Return those of a row in the dense layers, which take most of the time."""
    first = known.num_inputs + (_EMBEDDING - 1) * known.num_numeric
    return _UNITS * (first + (_NUM_HIDDEN - 1) * _UNITS)


def _comments(known: KnownRows, layers: Layers) -> dict[KeyPath, str]:
    comments: dict[KeyPath, str] = {
        ("model", "layers"): "RealMLP (arXiv:2407.04491), with the settings that its authors tuned "
        "on many tables: hidden layers whose activations have learned parts, and dropout that "
        "ends at 0.",
        ("model", "layers", len(layers) - 1): OUTPUT_LAYER,
        ("model", "layers", layers.index(SCALE)): "A learned factor "
        "for each input: what is of no use is soon scaled down.",
        ("optimizer", "weight_decay"): "Ends at 0, as dropout does.",
        ("schedule",): "Cosine cycles, each twice as long as the one before.",
        (
            "training",
            "epochs",
        ): "Fewer where there are more rows, so that training takes no longer.",
    }
    if known.num_numeric:
        comments["data", "scale"] = "By median and quartiles; outliers are bent to ±3."
        comments["model", "layers", 0] = (
            "Each numeric column, and cosines of learned frequencies of it."
        )
    if known.num_folds is not None:
        comments["folds",] = (
            f"Each row is held out by one of {known.num_folds} networks, which keeps its best "
            "epoch by these rows; predictions are the mean of all networks."
        )
    elif known.why_no_folds:
        comments["training",] = f"A single network, without folds: {known.why_no_folds}."
    return comments
