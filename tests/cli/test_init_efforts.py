"""`dlcli init --effort`: what each effort writes, and that it can be trained on any table."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcli.config import Config, load_config
from tests.conftest import ROOT, Command, Outcome

Table = Callable[..., Path]
Draft = Callable[..., tuple[Config, str, Outcome]]


@pytest.fixture
def draft(dlcli: Command) -> Draft:
    """Draft a config for a table, which must be one that can be trained."""

    def drafted(path: Path | str, target: str, *, effort: str) -> tuple[Config, str, Outcome]:
        outcome = dlcli("init", path, "--target", target, "--effort", effort, "-o", "c.yaml")
        assert outcome.code == 0, outcome.err
        validated = dlcli("validate", "c.yaml")
        assert validated.code == 0, validated.err
        return load_config(Path("c.yaml")).config, Path("c.yaml").read_text(), outcome

    return drafted


def cells(num_rows: int, **kinds: Callable[[random.Random, int], object]) -> list[str]:
    draw = random.Random(3)
    rows = (",".join(str(kind(draw, row)) for kind in kinds.values()) for row in range(num_rows))
    return [",".join(kinds), *rows]


def number(draw: random.Random, _: int) -> str:
    return f"{draw.gauss(0, 1):.3f}"


def word(draw: random.Random, _: int) -> str:
    return draw.choice(["red", "green", "blue"])


def label(draw: random.Random, _: int) -> str:
    return draw.choice(["yes", "no"])


def types(config: Config) -> list[str]:
    return [layer.type for layer in config.model.layers]


def test_quick_is_a_small_network_with_its_effort_said(draft: Draft, table: Table) -> None:
    config, text, outcome = draft(table(*cells(60, x=number, y=label)), "y", effort="quick")
    assert types(config) == ["dense", "dropout", "dense"]
    assert config.folds is None
    assert re.search(r"^# Effort quick: one network, \d+ epochs at most\.$", text, re.MULTILINE)
    assert re.search(r"^effort: quick, one network, \d+ epochs at most$", outcome.err, re.MULTILINE)
    assert "next: dlcli train c.yaml" in outcome.err


def test_the_default_is_standard_an_ensemble_of_folds(dlcli: Command, table: Table) -> None:
    path = table(*cells(60, x=number, c=word, y=label))
    text = dlcli("init", path, "--target", "y").out
    assert text == dlcli("init", path, "--target", "y", "--effort", "standard").out
    Path("c.yaml").write_text(text)
    config = load_config(Path("c.yaml")).config
    assert types(config)[:3] == ["numeric_embedding", "scale", "dense"]
    assert config.folds is not None
    assert (config.folds.folds, config.folds.repeats) == (5, 2)
    assert config.data.split.validation == 0
    assert re.search(r"^# Effort standard: 10 networks .* s on two cores\.$", text, re.MULTILINE)
    for key in ("scale", "split", "layers", "weight_decay", "schedule", "epochs", "folds"):
        assert re.search(rf"^ *# .*\n *{key}:", text, re.MULTILINE), key


def test_best_is_standard_with_a_search(draft: Draft, table: Table) -> None:
    path = table(*cells(60, x=number, y=label))
    standard = draft(path, "y", effort="standard")[0]
    Path("c.yaml").unlink()
    config, text, outcome = draft(path, "y", effort="best")
    assert config.model == standard.model
    assert config.optimizer == standard.optimizer
    assert (config.tune.time, config.tune.folds) == (600, 5)
    assert "dlcli tune c.yaml" in text
    assert "next: dlcli tune c.yaml" in outcome.err


def test_tables_of_many_rows_have_fewer_epochs_and_networks(draft: Draft, table: Table) -> None:
    found = []
    for num_rows in (21_000, 101_000):
        rows = [f"{row % 101},{'ab'[row * 7 % 5 > 2]}" for row in range(num_rows)]
        config, text, _ = draft(table("x,y", *rows), "y", effort="standard")
        Path("c.yaml").unlink()
        found.append((config.folds and config.folds.folds, config.training.epochs))
    assert found == [(5, 137), (None, 114)]
    assert "without folds: 101,000 rows would take too long" in text
    assert config.data.split.validation == 0.15


def test_wide_tables_have_fewer_epochs(draft: Draft, table: Table) -> None:
    found = []
    for width in (1, 40):
        columns = {f"x{column}": number for column in range(width)}
        lines = cells(4_000, **columns, y=label)
        found.append(draft(table(*lines), "y", effort="standard")[0].training.epochs)
        Path("c.yaml").unlink()
    assert found[0] == 240
    assert found[1] < 180


LONELY = {"x": number, "y": lambda _, row: "only" if row == 9 else "ab"[row % 2]}
GROUPS = {
    "patient": lambda _, row: f"P{row % 10}",
    **{name: lambda _, row: row % 10 * 9 + row % 3 / 50 for name in "abc"},
    "y": lambda _, row: ["ill", "well"][row % 10 // 5],
}
DAYS = {
    "day": lambda _, row: f"2024-{1 + row // 28:02d}-{1 + row % 28:02d}",
    "x": number,
    "y": number,
}


@pytest.mark.parametrize(
    ("columns", "num_rows", "effort", "folds"),
    [
        ({"x": number, "y": number}, 12, "standard", 5),
        ({"x": number, "y": number}, 8, "best", 3),
        ({"x": number, "y": label}, 4, "standard", None),
        ({"x": number, "y": label}, 4, "best", None),
        ({"c": word, "d": word, "y": label}, 60, "standard", 5),
        ({"s": lambda _, row: f"s{row % 30}", "y": number}, 90, "best", 5),
        ({"x": number, "y": lambda _, row: ["", "a", "b"][row % 3]}, 60, "standard", 5),
        (LONELY, 60, "standard", None),
        (LONELY, 60, "best", None),
        (GROUPS, 80, "standard", 5),
        (DAYS, 200, "best", None),
    ],
)
def test_every_table_gets_a_config_that_trains(
    columns: dict[str, Callable[[random.Random, int], object]],
    num_rows: int,
    effort: str,
    folds: int | None,
    draft: Draft,
    table: Table,
) -> None:
    config, text, outcome = draft(table(*cells(num_rows, **columns)), "y", effort=effort)
    assert (config.folds and config.folds.folds) == folds
    assert ("A single network, without folds: " in text) == (folds is None)
    has_numbers = any(kind is number for name, kind in columns.items() if name != "y")
    assert ("numeric_embedding" in types(config)) == (has_numbers or columns is GROUPS)
    if effort == "best" and config.tune.space is None:
        assert "without a search: " in outcome.err


def test_images_have_their_network_at_every_effort(draft: Draft) -> None:
    config, _, outcome = draft(ROOT / "data/digits.csv", "digit", effort="best")
    assert types(config)[0] == "conv2d"
    assert "effort: best, one network, 30 epochs at most, as for images at every" in outcome.err
    assert "next: dlcli train c.yaml" in outcome.err


def test_an_unknown_effort_is_refused_with_those_there_are(dlcli: Command) -> None:
    outcome = dlcli("init", "t.csv", "--target", "y", "--effort", "most")
    assert outcome.code == 2
    assert all(name in outcome.err for name in ("--effort", "quick", "standard", "best"))


def test_what_efforts_write_is_trained_searched_and_predicted_with(
    draft: Draft, dlcli: Command, table: Table
) -> None:
    path = table(*cells(12, x=number, y=number))
    changes = ("training.epochs=2", "training.threads=1", "folds={folds: 2}", "tune.folds=2")
    short = [word for change in changes for word in ("--set", change)]
    draft(path, "y", effort="best")
    assert dlcli("train", "c.yaml", "--run-dir", "run", *short).code == 0
    searched = dlcli("tune", "c.yaml", "--run-dir", "tuned", "--trials", "2",
                     "--set", "report=false", *short)  # fmt: skip
    assert searched.code == 0, searched.err
    for run in ("run", "tuned"):
        assert dlcli("predict", run, path, "-o", f"{run}.csv").code == 0
        assert len(Path(f"{run}.csv").read_text().splitlines()) == 13
