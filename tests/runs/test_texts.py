"""Texts from a file to predictions: trained, streamed, predicted, drafted."""

from pathlib import Path

import polars as pl
import pytest

from tests.conftest import ROOT, Command

CONFIG = """
data:
  path: rows.csv
  target: urgent
  kinds: {message: text}
  split: {validation: 0.2, test: 0.2}
model:
  inputs:
    message: {layers: [{type: embedding, dim: 4}, {type: pool_time, pool: max}]}
    table: {layers: [{type: dense, units: 4}]}
  layers: [{type: dense}]
optimizer: {type: adam, lr: 0.05}
training: {batch_size: 16, epochs: 2}
report: false
"""


@pytest.fixture
def rows() -> pl.DataFrame:
    rows = pl.read_csv(ROOT / "data" / "tickets.csv").head(120)
    rows.write_csv("rows.csv")
    rows.write_ndjson("rows.jsonl")
    rows.write_parquet("rows.parquet")
    Path("texts.yaml").write_text(CONFIG, "utf-8")
    return rows


def weights(run: str) -> bytes:
    return Path(run, "best.safetensors").read_bytes()


def test_a_run_is_the_same_from_any_file_and_predicts_rows_one_by_one(
    rows: pl.DataFrame, dlcli: Command
) -> None:
    whole = dlcli("train", "texts.yaml", "--json", "--run-dir", "whole")
    assert whole.code == 0, whole.err
    for suffix in ("jsonl", "parquet"):
        path = f"data.path=rows.{suffix}"
        other = dlcli("train", "texts.yaml", "--json", "--run-dir", suffix, "--set", path)
        assert other.json["test"] == whole.json["test"]
    new = rows.with_columns(message=pl.col("message") + " völlig neu")
    new.write_csv("new.csv")
    assert "240 of " in dlcli("predict", "whole", "new.csv", "-o", "new_predicted.csv").err
    assert dlcli("predict", "whole", "rows.csv", "-o", "predicted.csv").code == 0
    found = pl.read_csv("predicted.csv")
    assert found["message"].to_list() == rows["message"].to_list()
    rows.reverse().head(7).write_csv("few.csv")
    dlcli("predict", "whole", "few.csv", "-o", "few_predicted.csv")
    few = pl.read_csv("few_predicted.csv")["probability_yes"].to_list()
    assert few == pytest.approx(found["probability_yes"].reverse().head(7).to_list(), abs=1e-6)


def test_other_rows_than_training_ones_change_no_vocabulary(
    rows: pl.DataFrame, dlcli: Command
) -> None:
    split = ["train"] * 80 + ["validation"] * 20 + ["test"] * 20
    config = CONFIG.replace("{validation: 0.2, test: 0.2}", "{column: part}")
    Path("texts.yaml").write_text(config, "utf-8")
    rows = rows.with_columns(part=pl.Series(split))
    is_train = pl.col("part") == "train"
    other = pl.when(is_train).then("message").otherwise(pl.lit("völlig andere Wörter"))
    for run, table in (("one", rows), ("other", rows.with_columns(message=other))):
        table.write_csv("rows.csv")
        assert (
            dlcli("train", "texts.yaml", "--run-dir", run, "--set", "training.epochs=1").code == 0
        )
    assert weights_of_training("one") == weights_of_training("other")


def weights_of_training(run: str) -> list[list[float]]:
    from safetensors.numpy import load_file

    found = load_file(Path(run, "last.safetensors"))
    return [array.ravel().tolist() for name, array in sorted(found.items()) if "weight" in name]


def test_texts_are_streamed_alike_from_any_file(rows: pl.DataFrame, dlcli: Command) -> None:
    del rows
    figures = [
        dlcli("train", "texts.yaml", "--json", "--run-dir", f"run{number}", *options).json["test"]
        for number, options in enumerate(
            [
                ("--set", "data.streaming=true"),
                ("--set", "data.streaming=true", "--set", "data.path=rows.jsonl"),
            ]
        )
    ]
    assert figures[0] == figures[1]


def test_init_recognises_texts_beside_other_columns(rows: pl.DataFrame, dlcli: Command) -> None:
    del rows
    outcome = dlcli("init", "rows.csv", "--target", "urgent", "--effort", "quick", "-o", "d.yaml")
    assert outcome.code == 0, outcome.err
    assert "'message' has 10.0 words a row and 118 different values" in outcome.err
    assert "read as text, cut into words (data.kinds, data.text)" in outcome.err
    drafted = Path("d.yaml").read_text("utf-8")
    assert "kinds: {message: text}" in drafted
    assert "table:" in drafted
    assert dlcli("validate", "d.yaml").code == 0
    assert dlcli("train", "d.yaml", "--smoke").code == 0
