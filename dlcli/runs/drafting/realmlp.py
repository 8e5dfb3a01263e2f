"""RealMLP's layers and optimizer, as sections of a config.

Holzmüller, Grinsztajn and Steinwart 2024, "Better by Default", arXiv:2407.04491, with the settings
that its authors tuned on other tables where nothing else is said.
"""

from typing import Any

from dlcli.runs.drafting.recipe import KnownRows, Layers
from dlcli.targets.task import Task

EMBEDDING: dict[str, Any] = {"type": "numeric_embedding", "kind": "pbld", "lr_factor": 0.1}
SCALE: dict[str, Any] = {"type": "scale", "lr_factor": 6.0}
WEIGHT_DECAY = 0.02
_EMBEDDING_DIM = 4  # numbers that stand for a numeric column
_NUM_HIDDEN = 3
_DROPOUT = 0.15


def realmlp_layers(known: KnownRows, units: int) -> Layers:
    """Return the layers, with so many units in each hidden one."""
    dense: dict[str, Any] = {
        "type": "dense",
        "units": units,
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
    embedding = [EMBEDDING] if known.num_numeric else []
    return [*embedding, SCALE, *hidden * _NUM_HIDDEN, last]


def realmlp_optimizer(task: Task) -> dict[str, Any]:
    """Return the optimizer, whose learning rate follows the task."""
    return {
        "type": "adamw",
        "lr": 0.2 if task == "regression" else 0.04,
        "betas": [0.9, 0.95],
        "weight_decay": {"type": "flat_cosine", "start": WEIGHT_DECAY},
    }


def multiply_adds(units: int, *, num_inputs: int, num_numeric: int) -> int:
    """Return those of a row in the hidden layers, which take most of the time."""
    first = num_inputs + (_EMBEDDING_DIM - 1) * num_numeric
    return units * (first + (_NUM_HIDDEN - 1) * units)
