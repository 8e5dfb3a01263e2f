"""Small real runs: every optimizer, each with a schedule, dropout and accumulated batches."""

from pathlib import Path
from typing import Any

import yaml

from dlcli.optimizers import OPTIMIZERS as OPTIMIZER_FAMILY
from dlcli.optimizers import PRESETS
from dlcli.schedules import SCHEDULES as SCHEDULE_FAMILY
from dlcli.section import type_of
from tests.conftest import ROOT
from tests.families import samples_of

# Of every optimizer and every schedule: what makes a short run change most.
_OPTIMIZER_SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.05},
    "momentum": {"lr": 0.02, "dampening": 0.1},
    "nesterov": {"lr": 0.02},
    "adam": {"lr": 0.01, "amsgrad": True},
    "adamw": {"lr": 0.01},
    "adagrad": {"lr": 0.02, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
    "rmsprop": {"lr": 0.005, "momentum": 0.5, "centered": True},
    "nadam": {"lr": 0.01},
    "radam": {"lr": 0.02},
    "adamax": {"lr": 0.01},
}
_SCHEDULE_SETTINGS: dict[str, dict[str, Any]] = {
    "step": {"step_size": 1, "gamma": 0.5},
    "exponential": {"gamma": 0.8},
    "cosine": {"warmup_epochs": 0.5},
    "reduce_on_plateau": {"patience": 0, "factor": 0.5},
}
OPTIMIZERS = {
    name: {**settings, **_OPTIMIZER_SETTINGS.get(name, {})} for name, settings in PRESETS.items()
}
SCHEDULES = {
    settings["type"]: {**settings, **_SCHEDULE_SETTINGS.get(settings["type"], {})}
    for settings in samples_of(SCHEDULE_FAMILY, {}).values()
}
# Each of them once at least.
PAIRS = [
    (list(OPTIMIZERS)[index % len(OPTIMIZERS)], list(SCHEDULES)[index % len(SCHEDULES)])
    for index in range(max(len(OPTIMIZERS), len(SCHEDULES)))
]


def _follows_rates(optimizer: str) -> bool:
    kind = PRESETS[optimizer]["type"]
    return next(member.follows_lr for member in OPTIMIZER_FAMILY if type_of(member) == kind)


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
        "schedule": SCHEDULES[schedule if _follows_rates(optimizer) else "constant"],
        "training": training,
        "report": False,
        **sections,
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path
