"""Advice works: each repair that a message names is carried out on the input that caused it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.conftest import Command, WriteConfig

NUM_ROWS = 40


def rows(*cells: Callable[[int], object]) -> list[str]:
    return [",".join(str(cell(row)) for cell in cells) for row in range(NUM_ROWS)]


def number(row: int) -> str:
    return f"{row * 7 % 11}.5"


def label(row: int) -> str:
    return "ab"[row * 5 % 7 > 3]


def replaced(position: int, text: str) -> Callable[[int], str]:
    """Make numbers, but for the text in one row."""
    return lambda row: text if row == position else number(row)


@dataclass(frozen=True)
class Case:
    """A file that is refused, what is said, what follows from that, and what comes of it."""

    header: str
    lines: list[str]
    message: str  # a part of the error, the repair in it
    repair: tuple[str, ...] = ()  # values of --set
    edited: Callable[[list[str]], list[str]] | None = None  # the lines, where the file is corrected
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    becomes: dict[str, Any] = field(default_factory=dict)  # of the resolved `data`
    num_rows: int = NUM_ROWS  # that are learned from
    header_edited: str | None = None


CONVOLUTION = {"type": "conv1d", "out_channels": 2, "kernel_size": 2}
SHORT_BATCH = {
    "model": {"layers": [{"type": "batch_norm"}, {"type": "dense"}]},
    "training": {"batch_size": 39, "last_batch": "keep"},
}
KINDS = {"kinds": {"x": "numeric"}}
COMMAS = rows(lambda row: f'"{row % 5},5"', number, label)
MARK = rows(replaced(7, "?"), number, label)
BOOLEANS = rows(lambda row: ["true", "false"][row % 2], number, label)
DATES = rows(lambda row: f"2024-01-{1 + row % 9:02}", number, label)
TEXTS = rows(lambda row: "so " * (row % 5) + "nice", label)
AFTER_EMBEDDING = (
    "{type: conv1d, out_channels: 2, kernel_size: 2}, {type: pool_time}, {type: dense}"
)
GAP = rows(number, number, lambda row: "NA" if row % 3 == 0 else label(row))
CASES = {
    "kinds for codes that look like numbers with units": Case(
        "x,z,y",
        rows(lambda row: f"{row % 5}€", number, label),
        "write plain numbers, such as 1234.5, in the file, or set data.kinds: {x: categorical}",
        ("data.kinds={x: categorical}",),
        becomes={"kinds": {"x": "categorical", "z": "numeric"}},
    ),
    "plain numbers in the file": Case(
        "x,z,y",
        rows(lambda row: f"{row % 5}€", number, label),
        "write plain numbers, such as 1234.5, in the file",
        edited=lambda lines: [line.replace("€", "") for line in lines],
        becomes={"kinds": {"x": "numeric", "z": "numeric"}},
    ),
    "decimal, and a number that is written as the others are": Case(
        "x;y",
        [*(line.replace(",", ";").replace(".", ",") for line in rows(number, label)), "1.5;a"],
        "write all numbers of the file alike; how a text file writes them is said by data.decimal",
        ('data.decimal=","',),
        edited=lambda lines: [*lines[:-1], "1,5;a"],
        becomes={"kinds": {"x": "numeric"}, "decimal": ","},
        num_rows=NUM_ROWS + 1,
    ),
    "a number that is written as the others are": Case(
        "x;y",
        [*(line.replace(",", ";").replace(".", ",") for line in rows(number, label)), "1.5;a"],
        "line 42: column 'x' has '1.5', where numbers are written with the decimal mark ','; "
        "correct it",
        edited=lambda lines: [*lines[:-1], "1,5;a"],
        data={"decimal": ","},
        becomes={"kinds": {"x": "numeric"}},
        num_rows=NUM_ROWS + 1,
    ),
    "kinds for booleans": Case(
        "x,z,y",
        BOOLEANS,
        "correct the file, or train with data.kinds: {x: boolean}",
        ("data.kinds={x: boolean}",),
        data=KINDS,
        becomes={"kinds": {"x": "boolean", "z": "numeric"}},
    ),
    "kinds for dates": Case(
        "x,z,y",
        DATES,
        "correct the file, or train with data.kinds: {x: datetime}",
        ("data.kinds={x: datetime}",),
        data=KINDS,
        becomes={"kinds": {"x": "datetime", "z": "numeric"}},
    ),
    "kinds for numbers": Case(
        "x,z,y",
        rows(number, number, label),
        "correct the file, or train with data.kinds: {x: numeric}",
        ("data.kinds={x: numeric}",),
        data={"kinds": {"x": "datetime"}},
        becomes={"kinds": {"x": "numeric", "z": "numeric"}},
    ),
    "kinds for a mark among numbers": Case(
        "x,z,y",
        MARK,
        "data.kinds: {x: categorical}",
        ("data.kinds={x: categorical}",),
        becomes={"kinds": {"x": "categorical", "z": "numeric"}},
    ),
    "missing_values for a mark among numbers": Case(
        "x,z,y",
        MARK,
        "train with the text in data.missing_values",
        ("data.missing_values=['?']",),
        becomes={"kinds": {"x": "numeric", "z": "numeric"}},
    ),
    "missing_values for a mark among dates": Case(
        "x,z,y",
        [line.replace("2024-01-03", "?") for line in DATES],
        "train with the text in data.missing_values",
        ("data.missing_values=['?']",),
        data={"kinds": {"x": "datetime"}},
        becomes={"kinds": {"x": "datetime", "z": "numeric"}},
    ),
    "missing_values for a number among dates": Case(
        "x,z,y",
        [line.replace("2024-01-03", "0.0") for line in DATES],
        "line 4: column 'x' has '0.0' where a date such as 2024-01-31 or 2024-01-31T12:00:00 is "
        "expected, and 4 more such rows; correct the file, or train with the text in "
        "data.missing_values",
        ("data.missing_values=['0.0']",),
        data={"kinds": {"x": "datetime"}},
        becomes={"kinds": {"x": "datetime", "z": "numeric"}},
    ),
    "a number too large": Case(
        "x,z,y",
        rows(replaced(3, "1e39"), number, label),
        "line 5: column 'x' has 1e39, too large for float32; correct it, or remove the row",
        edited=lambda lines: [line for line in lines if "1e39" not in line],
        num_rows=NUM_ROWS - 1,
    ),
    "inf": Case(
        "x,z,y",
        rows(replaced(3, "inf"), number, label),
        "line 5: column 'x' has inf, too large for float32",
        edited=lambda lines: [line.replace("inf", "1") for line in lines],
    ),
    "a missing target": Case(
        "x,z,y",
        GAP,
        "set data.drop_missing_target: true to leave them out",
        ("data.drop_missing_target=true",),
        num_rows=26,
    ),
    "a class that is called like a missing value": Case(
        "x,z,y",
        GAP,
        "if a word such as NA is a class, take it out of data.missing_values",
        ("data.missing_values=['']",),
        becomes={"task": "multiclass"},
    ),
    "multiclass, for a text among a target's numbers": Case(
        "x,y",
        rows(number, replaced(4, "high")),
        "or train with data.task: multiclass",
        ("data.task=multiclass",),
        becomes={"task": "multiclass"},
    ),
    "missing_values and drop_missing_target, for a text among a target's numbers": Case(
        "x,y",
        rows(number, replaced(4, "?")),
        "the text in data.missing_values and data.drop_missing_target: true",
        ("data.missing_values=['?']", "data.drop_missing_target=true"),
        becomes={"task": "regression"},
        num_rows=NUM_ROWS - 1,
    ),
    "multiclass for more than two classes": Case(
        "x,y",
        rows(number, lambda row: "abc"[row % 3]),
        "data.task is binary; set it to multiclass",
        ("data.task=multiclass",),
        data={"task": "binary"},
        becomes={"task": "multiclass"},
    ),
    "another loss": Case(
        "x,y",
        rows(number, label),
        "mse doesn't fit a binary target; use binary_cross_entropy",
        ("loss=binary_cross_entropy",),
        sections={"loss": "mse"},
    ),
    "kinds of the target": Case(
        "x,y",
        rows(number, lambda row: row % 5),
        "the target has no kind; set data.task instead",
        ("data.kinds={}", "data.task=regression"),
        data={"kinds": {"y": "numeric"}},
        becomes={"task": "regression"},
    ),
    "the name that is nearest": Case(
        "length,y",
        rows(number, label),
        "no column 'lenght'; did you mean 'length'?",
        ("data.features=[length]",),
        data={"features": ["lenght"]},
        becomes={"features": ["length"]},
    ),
    "a longer row": Case(
        "x,z,y",
        [*rows(number, number, label), "1,2,a,b"],
        "put text that contains ',' in quotes",
        edited=lambda lines: [*lines[:-1], '1,2,"a,b"', "1,3,a"],
        num_rows=NUM_ROWS + 2,
    ),
    "a shorter row": Case(
        "x,z,y",
        [*rows(number, number, label), "1,a"],
        "add the missing cells, or remove the row",
        edited=lambda lines: [*lines[:-1], "1,,a"],
        num_rows=NUM_ROWS + 1,
    ),
    "too few rows for the split": Case(
        "x,y",
        rows(number, label)[:20],
        "leave none for validation; change data.split or add rows",
        ("data.split={validation: 0.5}",),
        data={"split": {"validation": 0.01}},
        num_rows=20,
    ),
    "early stopping without validation rows": Case(
        "x,y",
        rows(number, label),
        "needs validation rows; hold some out, as in data.split: {validation: 0.2}",
        ("data.split={validation: 0.2}",),
        sections={"training": {"early_stopping": {"patience": 3}}},
    ),
    "a metric of another task": Case(
        "x,y",
        rows(number, label),
        "a binary target has no r2; use one of loss, accuracy, ",
        ("training.early_stopping.metric=accuracy",),
        data={"split": {"validation": 0.5}},
        sections={"training": {"early_stopping": {"metric": "r2"}}},
    ),
    "a metric without a value": Case(
        "x,part,y",
        [
            *rows(number, lambda _: "train", label),
            *rows(number, lambda _: "validation", lambda _: "a"),
        ],
        "monitor another metric (loss, accuracy, balanced_accuracy, macro_f1)",
        ("training.early_stopping.metric=balanced_accuracy",),
        data={"split": {"column": "part"}},
        sections={"training": {"early_stopping": {"metric": "roc_auc"}}},
        num_rows=2 * NUM_ROWS,
    ),
    "a full batch of streamed rows": Case(
        "x,y",
        rows(number, label),
        "give a number of rows, or set data.streaming: false",
        ("training.batch_size=16",),
        data={"streaming": True},
        sections={"training": {"batch_size": "full"}},
    ),
    "a full batch of rows in memory": Case(
        "x,y",
        rows(number, label),
        "give a number of rows, or set data.streaming: false",
        ("data.streaming=false",),
        data={"streaming": True},
        sections={"training": {"batch_size": "full"}},
    ),
    "a shape for text": Case(
        "x,z,c,y",
        rows(number, number, lambda row: "uvw"[row % 3], label),
        "takes numeric features only; 'c' is not: name the features in data.features",
        ("data.features=[x, z]",),
        data={"shape": [1, 2]},
        sections={"model": {"layers": [{"type": "flatten"}, {"type": "dense"}]}},
    ),
    "a layer for flat features": Case(
        "x,z,y",
        rows(number, number, label),
        "expects [features], got [1, 2]; put {type: flatten} before it",
        ("model.layers=[{type: flatten}, {type: dense}]",),
        data={"shape": [1, 2]},
    ),
    "a layer for tokens": Case(
        "t,y",
        TEXTS,
        "conv1d can't take tokens, which are codes; put {type: embedding, dim: 32} before it",
        (f"model.layers=[{{type: embedding, dim: 32}}, {AFTER_EMBEDDING}]",),
        data={"kinds": {"t": "text"}},
        sections={"model": {"layers": yaml.safe_load(f"[{AFTER_EMBEDDING}]")}},
    ),
    "a layer that is told where rows end": Case(
        "t,y",
        TEXTS,
        "flatten can't be told where each ends; put {type: pool_time}",
        ("model.layers=[{type: embedding, dim: 4}, {type: pool_time}, {type: dense}]",),
        data={"kinds": {"t": "text"}},
        sections={
            "model": {
                "layers": [{"type": "embedding", "dim": 4}, {"type": "flatten"}, {"type": "dense"}]
            }
        },
    ),
    "a layer for images": Case(
        "x,z,y",
        rows(number, number, label),
        "say what the features are with data.shape, or add a reshape",
        ("data.shape=[1, 2]",),
        sections={"model": {"layers": [CONVOLUTION, {"type": "flatten"}, {"type": "dense"}]}},
    ),
    "a batch too small": Case(
        "x,y",
        rows(number, label),
        "use training.batch_size: 40 or",
        ("training.batch_size=40",),
        sections=SHORT_BATCH,
    ),
    "a last batch to be joined": Case(
        "x,y",
        rows(number, label),
        "or training.last_batch: join or",
        ("training.last_batch=join",),
        sections=SHORT_BATCH,
    ),
    "a layer in place of one that mixes rows": Case(
        "x,y",
        rows(number, label),
        "or layer_norm",
        ("model.layers=[{type: dense, units: 2}, {type: layer_norm}, {type: dense}]",),
        sections=SHORT_BATCH,
    ),
    "batches of one row": Case(
        "x,y",
        rows(number, label),
        "in batches of 1 leave a batch of 1: use training.batch_size: 2 or layer_norm",
        ("training.batch_size=2",),
        sections={**SHORT_BATCH, "training": {"batch_size": 1}},
    ),
    "parts of a batch that are too small": Case(
        "x,y",
        rows(number, label),
        "in batches of 7, each cut into 4 parts (training.shards), leave a part of 1: use "
        "training.batch_size: 8 or layer_norm",
        ("training.batch_size=8",),
        sections={**SHORT_BATCH, "training": {"batch_size": 7, "shards": 4}},
    ),
    "a weight below 0": Case(
        "x,w,y",
        rows(number, lambda row: -1 if row == 3 else 2, label),
        "correct it, or give the row the weight 0, which leaves it out",
        edited=lambda lines: [line.replace(",-1,", ",0,") for line in lines],
        data={"weight": "w"},
        num_rows=NUM_ROWS - 1,
    ),
    "groups too few": Case(
        "x,g,y",
        rows(number, lambda row: f"g{row % 2}", label),
        "take a fraction out of data.split",
        ("data.split={group: g, test: 0.5}",),
        data={"split": {"group": "g", "validation": 0.3, "test": 0.3}},
    ),
    "times too few": Case(
        "x,t,y",
        rows(number, lambda row: f"2024-01-0{1 + row % 2}", label),
        "take a fraction out of data.split",
        ("data.split={time: t, test: 0.5}",),
        data={"split": {"time": "t", "validation": 0.3, "test": 0.3}},
    ),
    "names that are alike": Case(
        "x, x,y",
        rows(number, number, label),
        "rename one",
        edited=lambda lines: lines,
        header_edited="x,z,y",
    ),
    "a logarithm of numbers that have none": Case(
        "x,y",
        rows(number, lambda row: row - 3 + 0.25),
        "set data.target_scale: standard",
        ("data.target_scale=standard",),
        data={"target_scale": "log", "task": "regression"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_a_message_advises_leads_to_a_run_that_is_right(
    case: Case, dlcli: Command, write_config: WriteConfig
) -> None:
    path = Path("t.csv")
    path.write_text("\n".join([case.header, *case.lines]) + "\n")
    sections = {**case.sections}
    training = {"epochs": 1, **sections.pop("training", {})}
    config = write_config("t.csv", "y", data=case.data, training=training, **sections)
    refused = dlcli("train", config, "--run-dir", "run")
    assert refused.code in (2, 3)
    assert case.message in refused.err
    assert not Path("run").exists()

    if case.edited is not None:
        lines = [case.header_edited or case.header, *case.edited(case.lines)]
        path.write_text("\n".join(lines) + "\n")
    repairs = [word for repair in case.repair for word in ("--set", repair)]
    outcome = dlcli("train", config, "--run-dir", "run", "--json", *repairs)
    assert outcome.code == 0, outcome.err
    assert sum(outcome.json["rows"].values()) == case.num_rows
    resolved = yaml.safe_load(Path("run/config.yaml").read_text())["data"]
    assert {key: resolved[key] for key in case.becomes} == case.becomes
    outcome = dlcli("predict", "run", path, "-o", "predictions.csv")
    assert outcome.code == 0, outcome.err
    predicted = pl.read_csv("predictions.csv", separator=";" if ";" in case.header else ",")
    assert predicted["prediction"].null_count() == 0
