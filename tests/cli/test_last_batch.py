"""The last batch of an epoch, where it is shorter than the others."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcli.training.rows import steps
from tests.conftest import Command, WriteConfig

NORMALISED: list[dict[str, Any]] = [
    {"type": "dense", "units": 3},
    {"type": "batch_norm"},
    {"type": "dense"},
]


def table(num_rows: int, num_columns: int = 2) -> Path:
    names = [f"x{column}" for column in range(num_columns)]
    rows = [
        ",".join(str((row * 7 + column * 5) % 11) for column in range(num_columns)) + f",{row % 4}"
        for row in range(num_rows)
    ]
    path = Path("t.csv")
    path.write_text("\n".join([",".join([*names, "y"]), *rows]) + "\n")
    return path


def with_norm(layers: list[dict[str, Any]], **training: Any) -> dict[str, Any]:
    return {
        "model": {"layers": layers},
        "data": {"task": "regression"},
        "training": {"batch_size": 8, "epochs": 2, **training},
    }


@pytest.mark.parametrize("settings", [{}, {"training.shards": 2}, {"data.streaming": True}])
def test_a_row_that_cannot_be_normalised_joins_the_batch_before(
    settings: dict[str, Any],
    dlcli: Command,
    write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = write_config(table(33), "y", **with_norm(NORMALISED))
    changed = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    told = "the last batch of each epoch, 1 row, joins the one before, 9 rows together"
    assert told in dlcli("validate", config, *changed).out
    sizes = []
    end_with = steps.end_with

    def counted(*arguments: Any, **options: Any) -> Any:
        for batch in end_with(*arguments, **options):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(steps, "end_with", counted)
    outcome = dlcli("train", config, "--run-dir", "run", *changed)
    assert outcome.code == 0, outcome.err
    assert sizes == [8, 8, 8, 9] * 2
    resolved = yaml.safe_load(Path("run/config.yaml").read_text())
    assert resolved["training"]["last_batch"] == "join"
    assert dlcli("train", config, "--run-dir", "run", "--resume", *changed).code == 0


def test_nothing_is_joined_where_the_last_batch_can_be_normalised(
    dlcli: Command, write_config: WriteConfig
) -> None:
    config = write_config(table(34), "y", **with_norm(NORMALISED))
    assert "last batch" not in dlcli("validate", config).out
    assert dlcli("train", config, "--run-dir", "run").code == 0
    resolved = yaml.safe_load(Path("run/config.yaml").read_text())
    assert resolved["training"]["last_batch"] == "auto"


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize(
    ("kind", "shape", "kernel", "whole"), [("conv1d", [1, 6], 3, 6), ("conv2d", [1, 3, 3], 2, 3)]
)
def test_several_positions_of_one_row_are_normalised(
    kind: str,
    shape: list[int],
    kernel: int,
    whole: int,
    batch_size: int,
    dlcli: Command,
    write_config: WriteConfig,
) -> None:
    convolution: dict[str, Any] = {"type": kind, "out_channels": 2, "kernel_size": kernel}
    layers: list[dict[str, Any]] = [
        convolution,
        {"type": "batch_norm"},
        {"type": "flatten"},
        {"type": "dense"},
    ]
    sections = with_norm(layers, batch_size=batch_size, epochs=1)
    sections["data"]["shape"] = shape
    config = write_config(table(9, math.prod(shape)), "y", **sections)
    outcome = dlcli("train", config, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    assert "last batch" not in outcome.out
    # A convolution that leaves one position leaves one number of a row.
    narrow = [{**convolution, "kernel_size": whole}, *layers[1:]]
    refused = dlcli("validate", config, "--set", f"model.layers={narrow}".replace("'", ""))
    if batch_size == 1:
        assert "in batches of 1 leave a batch of 1: use training.batch_size: 2" in refused.err
    else:
        assert "joins the one before, 9 rows together" in refused.out


def test_dropped_rows_are_told_and_not_counted(dlcli: Command, write_config: WriteConfig) -> None:
    config = write_config(table(33), "y", **with_norm(NORMALISED, last_batch="drop"))
    outcome = dlcli("validate", config)
    assert "each epoch leaves out the last 1 row of its order (training.last_batch)" in outcome.out
    assert "memory for 8 rows" in dlcli("describe", config).out
    assert "memory for 9 rows" in dlcli("describe", config, "--set", "training.last_batch=join").out
    outcome = dlcli("validate", config, "--set", "training.batch_size=full")
    assert outcome.code == 2
    assert "last_batch: does nothing: training.batch_size is full, one batch" in outcome.err
