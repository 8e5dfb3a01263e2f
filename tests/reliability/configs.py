"""Small real runs: every optimizer, each with a schedule, dropout and accumulated batches."""

from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"type": "sgd", "lr": 0.05},
    "momentum": {"type": "sgd", "lr": 0.02, "momentum": 0.9, "dampening": 0.1},
    "nesterov": {"type": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True},
    "adam": {"type": "adam", "lr": 0.01, "amsgrad": True},
    "adamw": {"type": "adamw", "lr": 0.01},
    "adadelta": {"type": "adadelta", "lr": 1.0},
    "adagrad": {"type": "adagrad", "lr": 0.02, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
    "rmsprop": {"type": "rmsprop", "lr": 0.005, "momentum": 0.5, "centered": True},
    "nadam": {"type": "nadam", "lr": 0.01},
    "radam": {"type": "radam", "lr": 0.02},
    "adamax": {"type": "adamax", "lr": 0.01},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"type": "constant"},
    "step": {"type": "step", "step_size": 1, "gamma": 0.5},
    "exponential": {"type": "exponential", "gamma": 0.8},
    "cosine": {"type": "cosine", "warmup_epochs": 0.5},
    "one_cycle": {"type": "one_cycle"},
    "reduce_on_plateau": {"type": "reduce_on_plateau", "patience": 0, "factor": 0.5},
}


def write_config(path: Path, optimizer: str, schedule: str, **sections: Any) -> Path:
    """Write the config of a run of a few dozen steps on the real penguins."""
    data = {"path": str(ROOT / "data" / "penguins.csv"), "target": "species"}
    training = {
        "batch_size": 16,
        "epochs": 6,
        "accumulate_batches": 2,
        "gradient_clip_norm": 1.0,
        "early_stopping": {"patience": 2},
        **sections.pop("training", {}),
    }
    config = {
        "data": data | {"split": {"validation": 0.2, "test": 0.2}},
        "model": {
            "layers": [
                {"type": "dense", "units": 8, "activation": "relu"},
                {"type": "batch_norm"},
                {"type": "dropout", "rate": 0.3},
                {"type": "dense"},
            ]
        },
        "optimizer": OPTIMIZERS[optimizer],
        "schedule": SCHEDULES[schedule],
        "training": training,
        "report": False,
        **sections,
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path
