"""The work that dlcli and its peers are measured on. The tables are made, but for the digits'."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parent.parent
VALIDATION_SHARE = 0.2
TARGET, PART = "label", "part"


@dataclass(frozen=True)
class Workload:
    """A table and the network that learns from it."""

    name: str
    num_rows: int
    num_features: int
    num_classes: int
    units: tuple[int, ...]  # of the dense layers, each with ReLU and dropout
    dropout: float
    batch_size: int
    lr: float
    epochs: int = 5
    image_side: int = 0  # above 0: the features are a square image, read by configs/digits.yaml


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("tiny", 20_000, 20, 2, (64, 64), 0.1, 32, 1e-3),
        Workload("small", 50_000, 54, 7, (128, 128), 0.1, 128, 1e-3),
        Workload("wide", 20_000, 784, 10, (512, 512), 0.1, 128, 1e-3),
        Workload("digits-conv", 1_797, 64, 10, (128,), 0.5, 64, 2e-3, image_side=8),
    )
}


def write_workload(workload: Workload, folder: Path) -> tuple[Path, Path]:
    """Write the table and what is to be done with it; return dlcli's config and the peers'."""
    table = folder / f"{workload.name}.csv"
    if not table.exists():
        features, labels = _digits() if workload.image_side else _made(workload)
        write_table(table, features, labels)
    config, spec = table.with_suffix(".yaml"), table.with_suffix(".json")
    config.write_text(yaml.safe_dump(_config(workload, table.name)), encoding="utf-8")
    about = {**asdict(workload), "table": str(table), "target": TARGET, "part": PART}
    spec.write_text(json.dumps(about), encoding="utf-8")
    return config, spec


def _made(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Draw normal features, and classes from a random network of one hidden layer, with noise."""
    random = np.random.default_rng(0)
    features = random.normal(size=(workload.num_rows, workload.num_features))
    hidden = np.tanh(features @ random.normal(size=(workload.num_features, 16)) * 0.3)
    scores = hidden @ random.normal(size=(16, workload.num_classes))
    scores += 0.5 * random.gumbel(size=scores.shape)
    return features, scores.argmax(axis=1)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(ROOT / "data" / "digits.csv", delimiter=",", skiprows=1)
    return rows[:, :-1], rows[:, -1].astype(int)


def write_table(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    """Write rows with their label, and the part that each is in."""
    validated = np.random.default_rng(1).random(len(labels)) < VALIDATION_SHARE
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{index}" for index in range(features.shape[1])), TARGET, PART])
        for row, label, is_validated in zip(features, labels, validated, strict=True):
            part = "validation" if is_validated else "train"
            writer.writerow([*(f"{value:.5g}" for value in row), label, part])


def _config(workload: Workload, table: str) -> dict[str, object]:
    data: dict[str, object] = {
        "path": table,
        "target": TARGET,
        "split": {"column": PART},
    }
    layers: list[dict[str, object]] = []
    if workload.image_side:
        shipped = yaml.safe_load((ROOT / "configs" / "digits.yaml").read_text(encoding="utf-8"))
        data |= {"scale": "none", "shape": [1, workload.image_side, workload.image_side]}
        layers = shipped["model"]["layers"]
    else:
        for units in workload.units:
            layers.append({"type": "dense", "units": units, "activation": "relu"})
            layers.append({"type": "dropout", "rate": workload.dropout})
        layers.append({"type": "dense"})
    return {
        "data": data,
        "model": {"layers": layers},
        "optimizer": {"type": "adam", "lr": workload.lr},
        "training": {"batch_size": workload.batch_size, "epochs": workload.epochs, "device": "cpu"},
    }
