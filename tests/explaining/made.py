"""Untrained networks on made data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from dlcli.config import load_config
from dlcli.explaining.explained_model import ExplainedModel
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import untrained_model_and_data

Columns = Mapping[str, Sequence[object]]
Layers = Sequence[Mapping[str, Any]]
HALF_HELD_OUT = {"test": 0.5}


def make_model(
    columns: Columns | Path,
    target: str,
    layers: Layers,
    *,
    loss: str | None = None,
    seed: int = 0,
    split: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    **data: Any,
) -> ExplainedModel:
    """Return a network with its first weights, on a file or a table that is written here.

    Half of the rows are held out unless `split` says otherwise; `data` are keys of the config.
    """
    path = columns if isinstance(columns, Path) else Path("made.csv").resolve()
    if not isinstance(columns, Path):
        pl.DataFrame(columns, strict=False).write_csv(path)
    held_out = HALF_HELD_OUT if split is None else split
    config = {
        "seed": seed,
        "data": {"path": str(path), "target": target, "split": held_out, **data},
        "model": {"layers": list(layers), **({"inputs": dict(inputs)} if inputs else {})},
        "training": {"epochs": 1},
        **({"loss": loss} if loss else {}),
    }
    Path("made.yaml").write_text(yaml.safe_dump(config), "utf-8")
    loaded = load_config(Path("made.yaml"))
    return untrained_model_and_data(loaded, prepare(loaded))


def dense(weight: Sequence[Sequence[float]], bias: Sequence[float], **more: Any) -> dict[str, Any]:
    """Return a dense layer with weights that are given."""
    initial = {"weight": [list(row) for row in weight], "bias": list(bias)}
    return {"type": "dense", "units": len(weight), "initial": initial, **more}
