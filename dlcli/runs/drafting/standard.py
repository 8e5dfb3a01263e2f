"""The rules of `dlcli init --effort standard`: RealMLP's network, an ensemble of folds.

Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", arXiv:2407.04491: its parts, and
the settings that its authors tuned on other tables. What is otherwise here was chosen on the tables
and splits that `benchmarks/tables.py` keeps for choosing.
"""

from typing import Any

from dlcli.config.text.parsing import KeyPath
from dlcli.runs.drafting.outlook import expected_seconds, seconds_text
from dlcli.runs.drafting.recipe import KnownRows, Layers, Recipe
from dlcli.runs.drafting.small_networks import OUTPUT_LAYER

# Half of RealMLP's: an ensemble of folds is as good with it, better on few rows, and twice as fast.
_UNITS, _NUM_HIDDEN = 128, 3
_DROPOUT = 0.15
WEIGHT_DECAY = 0.02
_LR_CLASSES, _LR_NUMBERS = 0.04, 0.2
_BATCH_SIZE = 256
EMBEDDING: dict[str, Any] = {"type": "numeric_embedding", "kind": "pbld", "lr_factor": 0.1}
_EMBEDDING_DIM = 4  # numbers that stand for a numeric column
SCALE: dict[str, Any] = {"type": "scale", "lr_factor": 6.0}
# Of few rows, probabilities that are sure of themselves are sometimes badly wrong.
_MAX_SMOOTHED_ROWS, _SMOOTHING = 1_500, 0.1
# For classes, as good as training to the end, and half the time. For numbers, the end is better.
_PATIENCE = 32

_MAX_ROWS, _FOLDS = 20_000, 5
_MAX_ROWS_FEW, _FEW_FOLDS = 100_000, 3  # above, a single network
_MAX_REPEATED_ROWS, _REPEATS = 1_000, 2  # a second cut helps where few rows decide
# Epochs fall as rows grow, so that an ensemble takes about a minute on two cores.
_MAX_EPOCHS, _MIN_EPOCHS = 256, 32
_ROWS_TIMES_EPOCHS = 1_280_000
# A single network may take a few minutes.
_MIN_EPOCHS_ALONE, _ROWS_TIMES_EPOCHS_ALONE = 8, 16_000_000


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
    layers, epochs = _layers(known), _num_epochs(known)
    is_class = known.seen.task != "regression"
    training: dict[str, Any] = {"batch_size": _BATCH_SIZE, "epochs": epochs}
    if is_class and (known.num_folds is not None or known.has_validation):
        training["early_stopping"] = {"patience": _PATIENCE}
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
    num_networks = 1
    if known.num_folds is not None:
        repeats = _REPEATS if known.seen.num_rows < _MAX_REPEATED_ROWS else 1
        folds = {"folds": known.num_folds, "repeats": repeats}
        sections["folds"] = folds if repeats > 1 else known.num_folds
        num_networks = repeats * known.num_folds
    is_smoothed = is_class and known.seen.num_rows < _MAX_SMOOTHED_ROWS
    return Recipe(
        layers,
        sections,
        _comments(known, layers, num_networks),
        outlook=_outlook(known, epochs, num_networks, stops="early_stopping" in training),
        data={"scale": "robust_clip"} if known.num_numeric else {},
        loss={"type": "cross_entropy", "label_smoothing": _SMOOTHING} if is_smoothed else None,
    )


def _outlook(known: KnownRows, epochs: int, num_networks: int, *, stops: bool) -> str:
    networks = "one network"
    if num_networks > 1:
        networks = f"{num_networks} networks by cross-validation"
    length = f"{epochs} epochs at most" if stops else f"{epochs} epochs"
    seconds = expected_seconds(
        num_epochs=epochs * num_networks,
        num_rows=known.num_train,
        num_numeric=known.num_numeric,
        multiply_adds=_multiply_adds(known),
    )
    return f"{networks}, {length}; {seconds_text(seconds)}"


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
        most = _ROWS_TIMES_EPOCHS_ALONE // known.seen.num_rows
        return max(_MIN_EPOCHS_ALONE, min(_MAX_EPOCHS, most))
    most = _ROWS_TIMES_EPOCHS // known.seen.num_rows
    return max(_MIN_EPOCHS, min(_MAX_EPOCHS, most))


def _multiply_adds(known: KnownRows) -> int:
    """Return those of a row in the dense layers, which take most of the time."""
    first = known.num_inputs + (_EMBEDDING_DIM - 1) * known.num_numeric
    return _UNITS * (first + (_NUM_HIDDEN - 1) * _UNITS)


def _comments(known: KnownRows, layers: Layers, num_networks: int) -> dict[KeyPath, str]:
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
    if known.seen.task != "regression" and known.seen.num_rows < _MAX_SMOOTHED_ROWS:
        comments["loss",] = (
            "With label smoothing: with few rows, probabilities of 0 and 1 are never safe."
        )
    if known.num_folds is not None:
        comments["folds",] = (
            "Each row is held out from some networks, which keep their best epoch by these rows; "
            f"predictions are the mean of all {num_networks}."
        )
    elif known.why_no_folds:
        comments["training",] = f"A single network, without folds: {known.why_no_folds}."
    return comments
