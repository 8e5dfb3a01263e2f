"""Sequences in cells, from a file to predictions: trained, streamed, resumed, predicted."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from tests.conftest import Command

CONFIG = """
data:
  path: rows.parquet
  target: rising
  kinds: {signal: sequence}
  split: {validation: 0.2, test: 0.2}
model:
  inputs:
    signal: {layers: [{type: conv1d, out_channels: 3, kernel_size: 3}, {type: pool_time}]}
    table: {layers: [{type: dense, units: 2}]}
  layers: [{type: dense}]
optimizer: {type: adam, lr: 0.05}
training: {batch_size: 16, epochs: 2}
report: false
"""
LSTM = "model={layers: [{type: lstm, units: 3}, {type: dense}]}"


@pytest.fixture
def rows() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 128)
    signals: list[list[float] | None] = [
        (rng.normal(size=length) + np.arange(length) * (-1) ** row).tolist()
        for row, length in enumerate(lengths.tolist())
    ]
    signals[7] = None
    rows = pl.DataFrame(
        {
            "signal": pl.Series(signals, dtype=pl.List(pl.Float64)),
            "size": rng.normal(size=128),
            "rising": ["yes", "no"] * 64,
        }
    )
    rows.write_parquet("rows.parquet")
    rows.write_ndjson("rows.jsonl")
    text = pl.col("signal").list.eval(pl.element().cast(pl.String)).list.join(";")
    rows.with_columns(text).write_csv("rows.csv")
    Path("run.yaml").write_text(CONFIG, "utf-8")
    return rows


def train(dlcli: Command, suffix: str, *, streams: bool) -> object:
    options = ("--set", f"data.path=rows.{suffix}", "--set", f"data.streaming={streams}")
    run = "streamed" if streams else "whole"
    trained = dlcli("train", "run.yaml", "--json", "--run-dir", f"{run}_{suffix}", *options)
    assert trained.code == 0, trained.err
    return trained.json["test"]


def weights(run: str) -> list[list[float]]:
    found = load_file(Path(run, "last.safetensors"))
    return [tensor.ravel().tolist() for _, tensor in sorted(found.items())]


def test_a_run_is_the_same_from_any_file_and_streamed(rows: pl.DataFrame, dlcli: Command) -> None:
    found = {
        (suffix, streams): train(dlcli, suffix, streams=streams)
        for suffix, streams in (
            ("parquet", False),
            ("jsonl", False),
            ("parquet", True),
            ("csv", True),
        )
    }
    assert found["jsonl", False] == found["parquet", False]
    assert found["csv", True] == found["parquet", True]
    assert dlcli("predict", "whole_parquet", "rows.parquet", "-o", "p.csv").code == 0
    assert dlcli("evaluate", "whole_parquet", "p.csv").code == 0
    new = rows.reverse().head(5)
    new.write_parquet("few.parquet")
    assert dlcli("predict", "whole_parquet", "few.parquet", "-o", "few.csv").code == 0
    before = pl.read_csv("p.csv")["probability_yes"].reverse().head(5).to_list()
    assert pl.read_csv("few.csv")["probability_yes"].to_list() == pytest.approx(before, abs=1e-6)
    wrong = pl.DataFrame({"signal": ["1;2", "x"], "size": [0.0, 1.0]})
    wrong.write_csv("wrong.csv")
    refused = dlcli("predict", "whole_parquet", "wrong.csv", "-o", "w.csv")
    assert refused.code == 3
    assert "line 3: column 'signal' has 'x'" in refused.err
    filled = dlcli("predict", "whole_parquet", "wrong.csv", "-o", "w.csv", "--bad-rows", "missing")
    assert filled.code == 0, filled.err
    assert len(pl.read_csv("w.csv")) == 2


def test_a_sequence_alone_is_resumed_to_the_bit(rows: pl.DataFrame, dlcli: Command) -> None:
    del rows
    options = ("--set", "data.features=[signal]", "--set", LSTM)
    whole = dlcli("train", "run.yaml", "--run-dir", "whole", *options)
    assert whole.code == 0, whole.err
    half = ("--set", "training.epochs=1")
    assert dlcli("train", "run.yaml", "--run-dir", "half", *options, *half).code == 0
    on = dlcli("train", "run.yaml", "--run-dir", "half", "--resume", *options)
    assert on.code == 0, on.err
    assert weights("whole") == weights("half")
    assert dlcli("evaluate", "half", "--json").code == 0
    assert "lstm" in dlcli("describe", "run.yaml", *options).out


def test_the_layers_that_a_refusal_shows_can_be_pasted(rows: pl.DataFrame, dlcli: Command) -> None:
    del rows
    data = CONFIG.split("model:")[0]
    Path("flat.yaml").write_text(f"{data}model: {{layers: [{{type: dense}}]}}\n", "utf-8")
    refused = dlcli("validate", "flat.yaml").err
    inputs = re.search(r"model\.inputs: (\{.*\}); or name", refused)
    assert inputs is not None, refused
    model = f"model: {{inputs: {inputs[1]}, layers: [{{type: dense}}]}}\n"
    Path("pasted.yaml").write_text(data + model, "utf-8")
    pasted = dlcli("validate", "pasted.yaml")
    assert pasted.code == 0, pasted.err


def test_lists_that_are_left_out_are_told_how_they_would_be(
    rows: pl.DataFrame, dlcli: Command
) -> None:
    del rows
    for suffix in ("parquet", "jsonl", "csv"):
        command = ("init", f"rows.{suffix}", "--target", "rising", "-o", f"{suffix}.yaml")
        drafted = dlcli(*command)
        assert drafted.code == 0, drafted.err
        assert "data.kinds: {signal: sequence}" in drafted.out + drafted.err
