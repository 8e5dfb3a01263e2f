"""`dlcli find-lr`, through the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import ROOT, Command, WriteConfig

WriteTable = Callable[..., Path]

MOONS = ROOT / "configs" / "moons.yaml"


def test_a_rate_is_suggested_with_its_reason_and_a_picture(dlcli: Command) -> None:
    overrides = ["--set", "optimizer.lr=1.0", "--set", "model.layers[0].activation=tanh"]
    outcome = dlcli("find-lr", MOONS, *overrides, "--json")
    assert outcome.code == 0, outcome.err
    folder = Path("runs/moons/001")
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "find_lr.json", "find_lr.parquet", "find-lr.svg")
    }
    document = json.loads((folder / "find_lr.json").read_text())
    assert outcome.json == {**document, "run_dir": str(folder)}
    assert 0.003 <= document["suggestion"] <= 0.1  # tuning finds rates in there
    assert document["seeds"] == [0, 1, 2, 3, 4]
    assert f"suggested learning rate: {document['suggestion']:g}" in outcome.err
    changes = "--set 'model.layers[0].activation=tanh' --set optimizer.lr="
    command = f"next: dlcli train {MOONS} {changes}{document['suggestion']:g}\n"
    assert command in outcome.err  # what was tested is what is trained
    losses = pl.read_parquet(folder / "find_lr.parquet")
    assert len(losses) == document["steps"] * 5
    lowest = losses.sort("smoothed").row(0, named=True)
    assert lowest["lr"] == document["lowest_loss_at"]


def test_the_range_and_the_seeds_are_the_users(dlcli: Command) -> None:
    options = ["--lowest", "0.001", "--highest", "0.01", "--steps", "40", "--seeds", "2"]
    outcome = dlcli("find-lr", MOONS, *options, "--run-dir", "f", "--set", "report=full")
    assert outcome.code == 0, outcome.err
    assert Path("f/find-lr.png").read_bytes().startswith(b"\x89PNG")
    assert "adam: rates from 0.001 to 0.01 in 40 steps, on 2 seeds; device" in outcome.out
    assert "no suggestion: the loss still falls at the highest rate, 0.01" in outcome.out
    assert pl.read_parquet("f/find_lr.parquet")["lr"].max() == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--lowest", "1", "--highest", "0.1"], 2, "the highest must be above the lowest"),
        (["--seeds", "0"], 2, "--seeds"),
        (["--set", "data.streaming=true"], 2, "data.streaming: many runs at once need their rows"),
        (["--set", "optimizer=adm"], 2, "did you mean 'adam'?"),
    ],
)
def test_what_can_not_be_tested_is_told(
    options: list[str], code: int, message: str, dlcli: Command
) -> None:
    outcome = dlcli("find-lr", MOONS, *options, "--run-dir", "f")
    assert outcome.code == code
    assert message in outcome.err
    assert not Path("f").exists()


def test_a_folder_that_is_in_use_is_left_alone(dlcli: Command) -> None:
    Path("f").mkdir()
    Path("f/mine.txt").touch()
    outcome = dlcli("find-lr", MOONS, "--run-dir", "f")
    assert (outcome.code, "is not empty" in outcome.err) == (2, True)
    assert [path.name for path in Path("f").iterdir()] == ["mine.txt"]


def test_of_nothing_to_learn_it_says_what_a_comparison_says(
    dlcli: Command, table: WriteTable, write_config: WriteConfig
) -> None:
    random = np.random.default_rng(0)
    rows = [f"{x:.3f},{'yes' if y > 0 else 'no'}" for x, y in random.normal(size=(200, 2))]
    config = write_config(
        table("a,y", *rows), "y", data={"split": {"validation": 0.3}}, optimizer={"type": "sgd"}
    )
    found = dlcli("find-lr", config, "--steps", "60", "--seeds", "2")
    compare = {"seeds": 2, "tuning_seeds": 1, "lrs": [0.01]}
    compared = dlcli(
        *("compare-optimizers", config, "--optimizers", "sgd,adam"),
        *("--set", f"compare={json.dumps(compare)}"),
    )
    for outcome in (found, compared):
        assert outcome.code == 0, outcome.err
        assert "Nothing is learned from the features: the lowest " in outcome.out
        assert "is not clearly below that of the constant baseline, 0.69" in outcome.out
    assert "no suggestion: nothing can be read off" in found.out


def test_the_direction_that_a_flat_curve_names_leads_to_a_suggestion(dlcli: Command) -> None:
    low = dlcli("find-lr", MOONS, "--lowest", "1e-9", "--highest", "1e-6", "--seeds", "2")
    assert "flat within its noise up to the highest rate, 1e-06: try higher ones" in low.out
    higher = dlcli("find-lr", MOONS, "--lowest", "1e-9", "--highest", "10", "--seeds", "2")
    assert "suggested learning rate" in higher.out
