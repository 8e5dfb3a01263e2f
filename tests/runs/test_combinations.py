"""Settings that undo each other: each rule of the table does what the table says."""

import ast
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dlcli.config import open_config
from dlcli.errors import ConfigError
from dlcli.explaining.learning.config_changes import stop_early
from dlcli.runs.combinations.registry import RULES, combinations_page
from dlcli.runs.combinations.rule import Rule
from dlcli.runs.preparation import prepare
from tests.conftest import ROOT, Command

WriteTable = Callable[..., Path]


def write_table(table: WriteTable) -> None:
    parts = ["train"] * 30 + ["validation"] * 5 + ["test"] * 5
    rows = [
        f"{index * 7 % 40},{index * 3 % 11},{'rst'[index % 3]},{part},{1 + index % 2},"
        f"{'yes' if index * 7 % 40 > 20 else 'no'}"
        for index, part in enumerate(parts)
    ]
    table("a,b,c,part,w,y", *rows)


def write(**sections: Any) -> Path:
    config: dict[str, Any] = {
        "data": {
            "path": "table.csv",
            "target": "y",
            "features": ["a", "b"],
            "split": {"validation": 0.2, "test": 0.2},
        },
        "model": {
            "layers": [{"type": "dense", "units": 4, "activation": "relu"}, {"type": "dense"}]
        },
        "optimizer": {"type": "adam"},
        "training": {"epochs": 50, "batch_size": 8},
    }
    for key, value in sections.items():
        is_merged = key in ("data", "training") and isinstance(value, dict)
        config[key] = {**config[key], **value} if is_merged else value
    if "c" in str(sections.get("data", {}).get("split", {}).get("group", "")):
        del config["data"]["features"]
    path = Path("config.yaml")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def outcome(**sections: Any) -> tuple[list[str], list[str]]:
    """Return the messages of what is refused, and the notes."""
    try:
        return [], list(prepare(open_config(write(**sections))).notes)
    except ConfigError as error:
        return [problem.message for problem in error.problems], []


def key_of(rule: Rule) -> str:
    return " × ".join(rule.keys)


@pytest.mark.parametrize("rule", RULES, ids=key_of)
def test_each_example_of_the_table_is_refused_or_reported_as_it_says(
    rule: Rule, table: WriteTable
) -> None:
    write_table(table)
    problems, notes = outcome(**rule.example)
    _, usual = outcome()
    more = [note for note in notes if note not in usual]
    if rule.is_refused:
        assert len(problems) == 1
    else:
        assert problems == []
        last = rule.keys[0].rpartition(": ")[2].rpartition(".")[2].partition(",")[0]
        assert any(last in note or "layers[" in note for note in more), more


def test_what_is_fine_is_neither_refused_nor_reported(table: WriteTable) -> None:
    write_table(table)
    for sections in (
        {"schedule": {"type": "cosine", "warmup_epochs": 2}},
        {"schedule": {"type": "reduce_on_plateau", "patience": 5}},
        {"training": {"early_stopping": {"patience": 12}}},
        {
            "schedule": {"type": "reduce_on_plateau", "patience": 5},
            "training": {"early_stopping": {"patience": 7}},
        },
    ):
        assert outcome(**sections) == outcome()


def test_the_advice_on_two_patiences_works_and_nothing_less_does(table: WriteTable) -> None:
    write_table(table)
    stopping = {"early_stopping": {"patience": 10}}
    [message], _ = outcome(schedule="reduce_on_plateau", training=stopping)
    found = re.search(r"early_stopping\.patience at least (\d+), or .* at most (\d+)", message)
    assert found is not None
    least, most = map(int, found.groups())
    for patience, waited, is_fine in (
        (10, least, True),
        (10, least - 1, False),
        (most, 10, True),
        (most + 1, 10, False),
    ):
        problems, _ = outcome(
            schedule={"type": "reduce_on_plateau", "patience": patience},
            training={"early_stopping": {"patience": waited}},
        )
        assert (not problems) == is_fine


@pytest.mark.parametrize("patience", [10, 30])
def test_the_early_stopping_that_a_report_suggests_lets_a_schedule_act(
    patience: int, table: WriteTable
) -> None:
    write_table(table)
    schedule = {"type": "reduce_on_plateau", "patience": patience}
    [change] = stop_early(open_config(write(schedule=schedule)).config)
    loaded = open_config(write(schedule=schedule), change.settings)
    assert loaded.config.training.early_stopping is not None
    assert prepare(loaded)


def test_a_run_counts_a_plateau_from_the_end_of_its_warm_up(
    dlcli: Command, table: WriteTable
) -> None:
    write_table(table)
    schedule = {"type": "reduce_on_plateau", "patience": 0, "factor": 0.5, "warmup_epochs": 4}
    config = write(optimizer={"type": "sgd", "lr": 5.0}, schedule=schedule, training={"epochs": 14})
    assert dlcli("train", config, "--run-dir", "run").code == 0
    epochs = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5.0)
    stepper = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=0)
    losses = [epoch["validation"]["loss"] for epoch in epochs]
    assert any(after > before for before, after in pairwise(losses[:4]))  # it would have counted
    for epoch in epochs[4:]:
        assert epoch["lr"] == pytest.approx(sgd.param_groups[0]["lr"])
        stepper.step(epoch["validation"]["loss"])
    assert epochs[-1]["lr"] < 5.0


@pytest.mark.parametrize(
    ("training", "schedule", "expected"),
    [
        # 0.001 + 0.099 × (1 + cos(k/4 × 180°)) / 2
        ({"epochs": 5}, {"eta_min": 0.001}, [0.1, 0.085502, 0.0505, 0.015498, 0.001]),
        ({"epochs": 6}, {"warmup_epochs": 2}, [0.1 / 3, 0.2 / 3, 0.1, 0.075, 0.025, 0.0]),
        # five batches are three steps; those of the last epoch are steps 4 to 6
        (
            {"epochs": 2, "batch_size": 5, "accumulate_batches": 2},
            {"eta_min": 0.01},
            [0.068906, 0.01],
        ),
        ({"epochs": 2}, {"eta_min": 0.02}, [0.1, 0.02]),
    ],
)
def test_the_last_step_of_a_run_has_the_lowest_rate_of_its_cosine(
    training: dict[str, Any],
    schedule: dict[str, Any],
    expected: list[float],
    dlcli: Command,
    table: WriteTable,
) -> None:
    write_table(table)
    config = write(
        optimizer={"type": "sgd", "lr": 0.1},
        schedule={"type": "cosine", **schedule},
        training={"batch_size": "full", **training},
    )
    assert dlcli("train", config, "--run-dir", "run").code == 0
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["lr"] for line in lines] == pytest.approx(expected, abs=1e-6)


def test_a_run_with_patiences_as_advised_reduces_its_rate(
    dlcli: Command, table: WriteTable
) -> None:
    write_table(table)
    patiences = "schedule={type: reduce_on_plateau, patience: 2}"
    stopping = "training.early_stopping={patience: 4}"
    ran = dlcli(
        *("train", write(optimizer={"type": "sgd", "lr": 5.0}), "--set", patiences),
        *("--set", stopping, "--run-dir", "run"),
    )
    assert ran.code == 0, ran.err
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    rates = {yaml.safe_load(line)["lr"] for line in lines}
    assert len(rates) > 1


def refusals() -> list[tuple[str, str]]:
    """Return what sections refuse once their keys are read, as patterns: file and message."""
    rooms = ("config/sections", "optimizers", "schedules", "losses", "layers")
    files = sorted(path for room in rooms for path in (ROOT / "dlcli" / room).glob("*.py"))
    return [
        (file.name, as_pattern(call.exc.args[0]))
        for file in files
        for function in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef)
        and any("'after'" in ast.unparse(decorator) for decorator in function.decorator_list)
        for call in ast.walk(function)
        if isinstance(call, ast.Raise) and isinstance(call.exc, ast.Call)
    ]


def as_pattern(message: ast.expr) -> str:
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts
    )


def test_every_refusal_of_a_section_is_in_the_table(table: WriteTable) -> None:
    write_table(table)
    messages = [
        message for rule in RULES if rule.find is None for message in outcome(**rule.example)[0]
    ]
    not_of_two_settings = (
        *("duplicates", "of them are named", "give `weight`, `bias` or both"),
        *("needs exactly one of", "both bounds are", "the lower bound comes first"),
    )
    missing = [
        (file, pattern)
        for file, pattern in refusals()
        if not any(word in pattern.replace("\\", "") for word in not_of_two_settings)
        and not any(re.fullmatch(pattern, message) for message in messages)
    ]
    assert missing == []
    assert len(refusals()) > 20


def test_the_page_is_the_table(dlcli: Command) -> None:
    page = ROOT / "docs" / "reference" / "combinations.md"
    made = dlcli("schema", "--combinations")
    assert made.out == page.read_text(encoding="utf-8") == combinations_page() + "\n"
