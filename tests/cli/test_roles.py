"""Runs that are split by groups or times, keep columns, and learn a logarithm: every command."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.explaining.quality.quality import assess_quality
from dlcli.explaining.reasons.boundary import find_equation
from dlcli.report.quality.section import quality_sections
from dlcli.runs.comparison.setup import build_setup
from dlcli.runs.preparation import prepare
from dlcli.runs.reporting.load_run import load_model_and_data
from tests.conftest import Command, WriteConfig
from tests.training.test_engines import CPU
from tests.trials.test_stacked import check_trials, trials

SPLITS = {
    "group": {"group": "shop", "validation": 0.2, "test": 0.2},
    "time": {"time": "day", "validation": 0.2, "test": 0.2},
}


@pytest.fixture
def sales(table: Callable[..., Path]) -> Path:
    lines = [
        f"{row * 7 % 101 / 10},{row * 13 % 57},"
        f"{100 * math.exp(row * 7 % 101 / 15 + row % 4 / 9):.3f},"
        f"2024-{1 + row % 150 // 28:02d}-{1 + row % 150 % 28:02d},s{row % 30},note {row}"
        for row in range(300)
    ]
    return table("x,z,sales,day,shop,note", *lines, name="sales.csv")


@pytest.fixture
def config(sales: Path, write_config: WriteConfig) -> Callable[..., Path]:
    def write(**data: Any) -> Path:
        return write_config(
            sales,
            "sales",
            data={"target_scale": "log", "keep": ["note"], "kinds": {"z": "numeric"}, **data},
            training={"epochs": 4, "batch_size": 32},
        )

    return write


@pytest.mark.parametrize(("by", "streaming"), [("group", False), ("time", True)])
def test_runs_evaluate_and_resume_on_the_rows_that_they_held_out(
    by: str, streaming: bool, config: Callable[..., Path], dlcli: Command
) -> None:
    data = {"split": SPLITS[by], "streaming": streaming}
    if by == "time":
        data["keep"] = ["note", "shop"]
    path = config(**data)
    whole = dlcli("train", path, "--run-dir", "whole", "--json")
    assert whole.code == 0, whole.err
    assert f"is no feature, as it is data.split.{by} (data.features)" in whole.err
    assert sum(whole.json["rows"].values()) == 300
    found = dlcli("evaluate", "whole", "--json").json
    for part in ("validation", "test"):
        for name, value in found[part].items():
            assert value == pytest.approx(whole.json[part][name], rel=1e-6)
    assert dlcli("train", path, "--run-dir", "run", "--set", "training.epochs=2").code == 0
    again = dlcli("train", path, "--run-dir", "run", "--resume", "--json")
    assert again.json["test"] == whole.json["test"]
    same = [Path(run, "best.safetensors").read_bytes() for run in ("run", "whole")]
    assert same[0] == same[1]


def test_metrics_of_a_logarithm_are_in_the_targets_units_and_its_loss_is_not(
    config: Callable[..., Path], sales: Path, dlcli: Command
) -> None:
    path = config(split={"test": 0.2}, features=["x", "z"])
    trained = dlcli("train", path, "--run-dir", "run")
    assert "the network learns log(sales), and the loss is that of it" in trained.out
    assert dlcli("predict", "run", sales, "-o", "out.csv").code == 0
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == [f"note {row}" for row in range(300)]
    pairs = [(float(row["prediction"]), float(row["sales"])) for row in rows]
    found = dlcli("evaluate", "run", sales, "--json").json["data"]
    mean_error = sum(abs(p - y) for p, y in pairs) / len(pairs)
    assert found["mae"] == pytest.approx(mean_error, rel=1e-5)
    squares = sum(math.log(p / y) ** 2 for p, y in pairs) / len(pairs)
    assert found["loss"] == pytest.approx(squares, rel=1e-5)


def test_stacked_trials_of_a_logarithm_are_single_ones_and_judged_in_the_targets_units(
    config: Callable[..., Path], dlcli: Command
) -> None:
    path = config(split={"validation": 0.2, "test": 0.2}, features=["x", "z"])
    setup = build_setup(prepare(load_config(path)), CPU)
    assert check_trials(trials(setup, [{"type": "sgd"}, {"type": "adam"}])) == {"epochs": 8}
    found = dlcli(
        *("compare-optimizers", path, "--optimizers", "sgd,adam", "--lrs", "0.01", "--json"),
        *("--seeds", "3", "--set", "compare.most_lrs=1"),
    )
    assert found.code == 0, found.err
    assert "stacked" in found.err
    result = next(result for result in found.json["optimizers"] if result["name"] == "adam")
    run = result["runs"][1]
    settings = ("seed", run["seed"]), ("optimizer", json.dumps(result["settings"]))
    again = [word for key, value in settings for word in ("--set", f"{key}={value}")]
    assert dlcli("train", path, "--run-dir", "run", "--set", "data.split.seed=0", *again).code == 0
    [test] = load_model_and_data(Path("run")).parts["test"].table.frame.select("note")
    assert dlcli("predict", "run", "sales.csv", "-o", "out.csv").code == 0
    rows = pl.read_csv("out.csv").filter(pl.col("note").is_in(test.to_list()))
    predicted, truth = rows["prediction"].to_numpy(), rows["sales"].to_numpy()
    figures = run["figures"]["test"]
    assert len(rows) == 60
    assert figures["loss"] == pytest.approx((np.log(predicted / truth) ** 2).mean(), rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(predicted - truth).mean(), rel=1e-4)


def test_prediction_needs_no_column_but_the_features(
    config: Callable[..., Path], table: Callable[..., Path], dlcli: Command
) -> None:
    assert (
        dlcli("train", config(split=SPLITS["group"], keep=["note", "day"]), "--run-dir", "run").code
        == 0
    )
    table("z,x", "3,1.5", "2,0.5", name="new.csv")
    assert dlcli("predict", "run", "new.csv", "-o", "out.csv").code == 0
    lines = Path("out.csv").read_text().splitlines()
    assert lines[0] == "z,x,prediction"
    assert all(float(line.split(",")[2]) > 0 for line in lines[1:])
    table("z,x,sales", "3,1.5,20", "2,0.5,0", name="zero.csv")
    refused = dlcli("evaluate", "run", "zero.csv")
    assert refused.code == 3
    assert "zero.csv, line 3: the target 'sales' is 0 where only numbers above 0" in refused.err


def test_a_target_that_has_no_logarithm_is_refused_and_the_repair_works(
    sales: Path, config: Callable[..., Path], dlcli: Command
) -> None:
    lines = sales.read_text().splitlines()
    sales.write_text("\n".join([*lines, "1,2,-5,2024-06-01,s1,last"]) + "\n")
    path = config(split=SPLITS["time"])
    for streaming in ("true", "false"):
        refused = dlcli("validate", path, "--set", f"data.streaming={streaming}")
        assert refused.code != 0
        assert "line 302: the target 'sales' is -5 where only numbers above 0" in refused.err
        assert "set data.target_scale: standard" in refused.err
    assert dlcli("validate", path, "--set", "data.target_scale=standard").code == 0


def test_classes_have_no_logarithm(config: Callable[..., Path], dlcli: Command) -> None:
    refused = dlcli("validate", config(target="shop", split={"test": 0.2}))
    assert refused.code == 2
    assert "data.target_scale: does nothing: a multiclass target has no scale" in refused.err


def test_reports_say_what_the_loss_of_a_logarithm_measures(
    config: Callable[..., Path], dlcli: Command
) -> None:
    path = config(split=SPLITS["time"], features=["x", "z"])
    assert dlcli("train", path, "--run-dir", "run").code == 0
    model = load_model_and_data(Path("run"))
    assert find_equation(model) is None  # predictions are no linear function of the features
    quality = assess_quality(model)
    notes = quality_sections(quality)[0].tables[0].note
    assert "constant baseline: predicts the mean of the training rows, of log(sales)." in notes
    assert "learn log(sales), whose loss is shown; the other metrics are in the" in notes
    logs = {
        name: np.log(part.table.column("sales").cast(pl.Float64).to_numpy())
        for name, part in model.parts.items()
    }
    constant = {metric.name: metric.constant.value for metric in quality.metrics}
    center = logs["train"].mean()
    assert constant["loss"] == pytest.approx(((logs["test"] - center) ** 2).mean(), rel=1e-5)
    errors = np.exp(logs["test"]) - np.exp(center)
    assert constant["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)


def test_reports_resample_whole_groups(config: Callable[..., Path], dlcli: Command) -> None:
    path = config(split=SPLITS["group"], keep=["note", "day"])
    assert dlcli("train", path, "--run-dir", "run").code == 0
    section = quality_sections(assess_quality(load_model_and_data(Path("run"))))[0]
    said = "1,000 resamples of the 6 groups of 'shop' (data.split.group), as rows of one aren't"
    assert said in section.tables[0].note
    assert any(
        "With only 6 groups of 'shop', these intervals" in text for text in section.paragraphs
    )


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_repairs_of_splits_work(
    streaming: str,
    config: Callable[..., Path],
    sales: Path,
    table: Callable[..., Path],
    dlcli: Command,
) -> None:
    """Each message's advice is followed, on the input that caused it."""

    def validate(**data: Any) -> tuple[int, str]:
        shown = dlcli("validate", config(**data), "--set", f"data.streaming={streaming}")
        return shown.code, shown.err

    header, *lines = sales.read_text().splitlines()
    two = [
        line.replace(f",{line.split(',')[4]},", f",s{row % 2},") for row, line in enumerate(lines)
    ]
    sales.write_text("\n".join([header, *two]) + "\n")
    code, said = validate(split=SPLITS["group"])
    assert code == 3
    assert "take a fraction out of data.split" in said or "change data.split" in said
    code, said = validate(split={"group": "shop", "test": 0.5})
    assert code == 0, said
    sales.write_text("\n".join([header, *lines, "1,2,3.5,,s1,no day"]) + "\n")
    code, said = validate(split=SPLITS["time"])
    assert code == 3
    assert "line 302: the time 'day' is missing here" in said
    assert "fill it in, or remove the row" in said
    sales.write_text("\n".join([header, *lines, "1,2,3.5,2024-01-02,s1,a day"]) + "\n")
    assert validate(split=SPLITS["time"])[0] == 0
    same_day = [line.replace(line.split(",")[3], "2024-01-02") for line in lines]
    sales.write_text("\n".join([header, *same_day]) + "\n")
    code, said = validate(split=SPLITS["time"])
    assert code == 3
    assert "has 1 different time, too few for the parts" in said
    assert "name another column in data.split.time" in said
    assert validate(split={**SPLITS["time"], "time": "x"}, keep=[])[0] == 0
    table(header, *lines, name="more.csv")
    code, said = validate(split={"group": "shop", "test": 0.2}, validation_path="more.csv")
    assert code == 2
    assert "put the rows of validation_path into `path`, and give a fraction" in said
    code, said = validate(path=[str(sales), "more.csv"], split=SPLITS["group"])
    assert code == 0, said
