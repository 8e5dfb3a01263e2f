"""The line of an epoch in metrics.jsonl."""

import math
from collections.abc import Mapping
from typing import Any

from dlcli.training.loop import EpochResult


def epoch_line(result: EpochResult) -> dict[str, Any]:
    """Return an epoch as a JSON object."""
    norm = result.gradient_norm
    return {
        "epoch": result.epoch,
        "seconds": result.seconds,
        "lr": result.lr,
        "gradient_norm": norm if math.isfinite(norm) else None,
        "train": {"loss": result.train_loss},
        "validation": result.validation,
    }


def metrics_in(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics in a line, by names such as validation/loss."""
    found = {}
    for key, value in line.items():
        inner = value if isinstance(value, Mapping) else {"": value}
        for name, figure in inner.items():
            if isinstance(figure, int | float) and key != "epoch":
                found[f"{key}/{name}".rstrip("/")] = float(figure)
    return found
