"""The benchmark of parity: its rows, the settings that it changes, and what it makes of results."""

import math
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from benchmarks.parity import PAIRS, Pair, Parts, load_for
from benchmarks.parity_page import page_lines, ratio_of
from benchmarks.table_files import BenchmarkTable, Task
from benchmarks.table_results import Result
from dlcli.runs.preparation import prepare


def made(task: Task, *, has_categories: bool) -> BenchmarkTable:
    columns: dict[str, list[float | str | None]] = {
        "x": [None if row % 9 == 0 else row * 0.5 for row in range(60)],
        "y": [row % 3 if task == "numbers" else f"class {row % 3}" for row in range(60)],
    }
    if has_categories:
        columns["c"] = [None if row % 8 == 0 else "abc"[row % 3] for row in range(60)]
    return BenchmarkTable("made", pl.DataFrame(columns), "y", task, "judge")


def test_both_programs_train_stop_and_are_tested_by_the_same_rows() -> None:
    table = made("classes", has_categories=True)
    parts = Parts.of(table, 2)
    assert parts.test.equals(Parts.of(table, 2).test)
    assert parts.validation == Parts.of(table, 2).validation
    assert parts.validation != Parts.of(table, 3).validation
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (48, 9, 12)
    held = parts.train[parts.validation]
    assert held["y"].value_counts()["count"].to_list() == [3, 3, 3]
    rows = parts.train.vstack(parts.test)
    assert rows["y"].sort().equals(table.frame["y"].sort())
    assert not sum(rows.null_count().row(0))
    assert rows.schema == table.frame.schema


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.config)
@pytest.mark.parametrize("task", ["numbers", "classes"])
@pytest.mark.parametrize("has_categories", [True, False])
def test_the_shipped_configs_fit_tables_with_what_they_say_to_change(
    pair: Pair, task: Task, has_categories: bool
) -> None:
    table = made(task, has_categories=has_categories)
    prepared = prepare(load_for(pair, table, Parts.of(table, 0), 5, Path.cwd()))
    config = prepared.config
    num_held = 10 if task == "numbers" else 9
    assert prepared.dataset.num_rows == {"train": 48 - num_held, "validation": num_held}
    assert (config.seed, config.calibration) == (5, "none")
    assert prepared.loss.type == ("mse" if task == "numbers" else "cross_entropy")
    assert not getattr(prepared.loss, "label_smoothing", 0)
    if pair.config == "realmlp":
        text = config.model_dump_json()
        assert ("mish" in text, "selu" in text) == (task == "numbers", task == "classes")
        assert config.optimizer.lr == (0.2 if task == "numbers" else 0.04)


def result(program: str, error: float | None, split: int, table: str = "t") -> Result:
    about = (table, f"digest {table}", "numbers", "judge", 100)
    return Result(*about, split, program, "1", error, seconds=2.0)


def test_a_ratio_is_of_means_over_the_splits_that_both_did_with_its_standard_error() -> None:
    ours = [result("a", error, split) for split, error in enumerate([1.0, 2.0, 3.5, 9.0])]
    theirs = [result("b", error, split) for split, error in enumerate([1.0, 2.5, 3.0, None])]
    ratio = ratio_of(ours, theirs)
    assert ratio is not None
    assert (ratio.num_splits, ratio.value) == (3, 1.0)
    # The differences are 0, -0.5 and 0.5, with a deviation of 0.5; the mean of `theirs` is 6.5 / 3.
    assert ratio.standard_error == pytest.approx(0.5 / math.sqrt(3) / (6.5 / 3))
    assert ratio_of(ours, []) is None


def test_the_page_says_whether_the_mean_of_the_ratios_is_within_a_hundredth() -> None:
    results = [
        *(result("dlcli tabm", error, split) for split, error in enumerate([1.1, 1.2])),
        *(result("tabm", error, split) for split, error in enumerate([1.0, 1.2])),
        *(result("dlcli tabm", error, split, "u") for split, error in enumerate([0.95, 0.955])),
        *(result("tabm", 1.0, split, "u") for split in range(2)),
    ]
    lines, are_met = page_lines({"tabm": results}, {"tabm": ("dlcli tabm", "tabm")}, "here")
    page = "\n".join(lines)
    assert are_met
    assert "over 2 tables is **0.9990 ± 0.0465**, within 1% of 1." in page
    assert "| t | 100 | RMSE | 2 | 1.15 | 1.1 | 1.045 ± 0.050 |" in page
    better = [replace(one, error=0.9) if one.program == "dlcli tabm" else one for one in results]
    lines, are_met = page_lines({"tabm": better}, {"tabm": ("dlcli tabm", "tabm")}, "here")
    assert not are_met
    assert "not within 1% of 1" in "\n".join(lines)
    alone = [one for one in results if (one.table, one.split) == ("u", 0)]
    lines, _ = page_lines({"tabm": alone}, {"tabm": ("dlcli tabm", "tabm")}, "here")
    assert "**0.9500 ± unknown**" in "\n".join(lines)
    assert "| 0.95 | 1 | 0.950 ± unknown |" in "\n".join(lines)
