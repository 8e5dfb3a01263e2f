"""Columns that hold almost nothing that training saw are told loudly, or refused by --strict."""

import io
import os
from pathlib import Path

import polars as pl
import pytest

from dlcli.cli.app import run as run_dlcli
from dlcli.runs import predict
from tests.conftest import Command
from tests.data.test_streaming import blocks_of

CONFIG = """
data: {path: t.csv, target: y, split: {validation: 0.25}}
model: {layers: [{type: dense}]}
training: {epochs: 1}
report: false
"""
WARNED = "holds nothing that training saw"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("strict"), Path.cwd()
    os.chdir(folder)
    lines = [f"{row % 9},s{row % 4},{'' if row % 5 else 'u'},{'ab'[row % 2]}" for row in range(60)]
    Path("t.csv").write_text("\n".join(["x,shop,some,y", *lines]) + "\n")
    Path("c.yaml").write_text(CONFIG)
    assert run_dlcli(["train", "c.yaml", "--run-dir", "run"]) == 0
    os.chdir(before)
    return folder / "run"


def rows(shop: list[str], x: list[str] | None = None, some: str = "u") -> Path:
    x = x or ["1"] * len(shop)
    cells = [f"{one},{two},{some},a" for one, two in zip(x, shop, strict=True)]
    Path("new.csv").write_text("\n".join(["x,shop,some,y", *cells]) + "\n")
    return Path("new.csv")


def test_a_column_of_which_training_saw_nothing_is_told_loudly(run: Path, dlcli: Command) -> None:
    file = rows(["S1", "S2", "S3"])
    outcome = dlcli("predict", run, file, "-o", "out.csv", "--json")
    assert outcome.code == 0
    (warning,) = outcome.json["warnings"]
    assert f"warning: {warning}\n" in outcome.err
    assert warning.startswith(
        f"column 'shop' {WARNED}: 3 of 3 cells are unseen in training; first at new.csv, line 2. "
    )
    assert outcome.json == {
        "out": "out.csv",
        "rows": 3,
        "rows_without_prediction": 0,
        "bad": [],
        "unseen": [
            {
                "column": "shop",
                "what": "unseen in training",
                "count": 3,
                "first": "new.csv, line 2",
                "num_cells": 3,
            }
        ],
        "warnings": [warning],
    }
    evaluated = dlcli("evaluate", run, file, "--json")
    assert evaluated.code == 0
    assert evaluated.json["warnings"] == [warning]
    assert f"warning: {warning}\n" in evaluated.err


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("streamed", [False, True])
def test_strict_refuses_it_and_writes_nothing(
    command: str, streamed: bool, run: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_MAX_ROWS", 70 if streamed else 1000)
    file = rows(["s1", *["S2"] * 300])
    words = (
        ["predict", run, file, "-o", "out.csv"] if command == "predict" else ["evaluate", run, file]
    )
    with blocks_of(64 if streamed else 10**7):
        outcome = dlcli(*words, "--strict")
    assert outcome.code == 3
    assert "'shop' holds almost nothing that training saw: 300 of 301 cells" in outcome.err
    assert "first at new.csv, line 3" in outcome.err
    assert "as --strict says; nothing is written" in outcome.err
    assert not Path("out.csv").exists()
    assert outcome.out == ""


def test_strict_writes_nothing_to_standard_output_either(run: Path, dlcli: Command) -> None:
    refused = dlcli("predict", run, rows(["S2"] * 3), "--strict")
    assert (refused.code, refused.out) == (3, "")
    sound = dlcli("predict", run, rows(["s2"] * 3), "--strict")
    assert (sound.code, len(pl.read_csv(io.StringIO(sound.out)))) == (0, 3)


@pytest.mark.parametrize(
    ("shop", "x", "some", "warned"),
    [
        (["s1", "S2"], None, "u", ()),
        (["s1", "S2", "S3"], None, "u", ("shop",)),
        (["s1", "s2"], ["", ""], "u", ("x",)),
        (["s1", "s2"], ["", "4"], "u", ()),
        (["", ""], None, "u", ("shop",)),
        (["s1", "s2"], None, "", ()),
        (["s1", "s2"], None, "U", ("some",)),
    ],
)
def test_what_most_cells_are_decides(
    shop: list[str],
    x: list[str] | None,
    some: str,
    warned: tuple[str, ...],
    run: Path,
    dlcli: Command,
) -> None:
    file = rows(shop, x, some)
    told = dlcli("predict", run, file, "-o", "out.csv", "--json").json["warnings"]
    assert [warning.split("'")[1] for warning in told] == [*warned]
    strict = dlcli("predict", run, file, "-o", "strict.csv", "--strict")
    assert strict.code == (3 if warned else 0)
    assert Path("strict.csv").exists() == (not warned)


def test_cells_that_are_missing_as_some_were_in_training_count_for_nothing(
    run: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["1,s1,,a"] * 50 + ["1,s1,U,a"] * 2
    Path("new.csv").write_text("\n".join(["x,shop,some,y", *lines]) + "\n")
    for max_rows in (3, 1000):
        monkeypatch.setattr(predict, "_MAX_ROWS", max_rows)
        with blocks_of(30):
            (warning,) = dlcli("predict", run, "new.csv", "-o", "o.csv", "--json").json["warnings"]
        assert "column 'some' holds nothing that training saw: 2 of 2 cells" in warning
    outcome = dlcli("evaluate", run, "new.csv", "--json")
    assert outcome.json["warnings"] == [warning]


def test_the_held_out_rows_of_a_run_pass(run: Path, dlcli: Command) -> None:
    assert dlcli("evaluate", run, "--strict").code == 0


def test_json_needs_a_file_for_the_predictions(run: Path, dlcli: Command) -> None:
    outcome = dlcli("predict", run, rows(["s1"]), "--json")
    assert outcome.code == 2
    assert "--json: the predictions go to standard output; name a file with -o" in outcome.err
