"""Forecasts, through the command line."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from dlcli.training.saving.checkpoint import load_checkpoint
from tests.conftest import ROOT, Command
from tests.data.made_series import hourly, write_forecast
from tests.reliability.comparing import differences

SHOPS = {"group": "shop", "targets": ["sales", "heat"], "known": ["promo"]}


def train(dlcli: Command, run: str, *options: str) -> str:
    outcome = dlcli("train", "f.yaml", "--run-dir", run, *options)
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_a_forecast_is_the_steps_after_the_last_target_with_their_times(dlcli: Command) -> None:
    write_forecast(hourly(200))
    train(dlcli, "r")
    outcome = dlcli("predict", "r", "f.csv", "-o", "p.csv")
    assert outcome.code == 0, outcome.err
    found = pl.read_csv("p.csv")
    assert found.columns == ["when", "prediction"]
    assert found["when"].str.slice(0, 16).to_list() == [
        f"2024-01-09T{hour:02}:00" for hour in range(8, 14)
    ]
    assert np.abs(found["prediction"].to_numpy() - 10).max() < 8


def test_series_are_forecast_each_where_known_columns_reach_ahead(dlcli: Command) -> None:
    table = hourly(206, series=("north", "south"))
    is_to_come = pl.col("when") >= "2024-01-09 08"
    coming = table.with_columns(
        pl.when(is_to_come).then(None).otherwise(name).alias(name) for name in ("sales", "heat")
    )
    write_forecast(coming, window=SHOPS)
    train(dlcli, "r")
    assert dlcli("predict", "r", "f.csv", "-o", "p.csv").code == 0
    found = pl.read_csv("p.csv")
    assert found.columns == ["when", "shop", "prediction_sales", "prediction_heat"]
    assert found["shop"].to_list() == ["north"] * 6 + ["south"] * 6
    table.filter(~is_to_come).write_csv("without.csv")
    outcome = dlcli("predict", "r", "without.csv")
    assert outcome.code == 3
    assert "promo must be known ahead: add the 6 rows of 'north' after" in outcome.err


def test_a_series_that_is_too_short_is_refused_or_left_out(dlcli: Command) -> None:
    table = hourly(200, series=("north", "south"))
    write_forecast(table, window={"group": "shop"})
    train(dlcli, "r")
    is_short = (pl.col("shop") == "south") & (pl.int_range(pl.len()) >= 210)
    table.filter(~is_short).write_csv("short.csv")
    outcome = dlcli("predict", "r", "short.csv")
    assert outcome.code == 3
    assert "'south' has 10 steps up to its last target" in outcome.err
    assert "--strict: no cells of forecasts" in dlcli("predict", "r", "short.csv", "--strict").err
    outcome = dlcli("predict", "r", "short.csv", "--bad-rows", "skip", "-o", "p.csv")
    assert outcome.code == 0
    assert pl.read_csv("p.csv")["shop"].unique().to_list() == ["north"]


def test_evaluate_gives_the_figures_of_training_and_those_of_a_file(dlcli: Command) -> None:
    write_forecast(hourly(200, series=("north", "south")), window=SHOPS)
    train(dlcli, "r")
    summary = json.loads(Path("r/summary.json").read_text("utf-8"))
    found = dlcli("evaluate", "r", "--json").json
    for part in ("validation", "test"):
        baselines = summary[part]["baselines"]
        assert [*baselines] == ["last value", "last season", "ridge"]
        assert baselines["ridge"]["rmse"] < baselines["last value"]["rmse"]
        assert found[part] == summary[part]
        by_step = summary[part]["by_step"]
        assert [len(by_step[name]["rmse"]) for name in ("sales", "heat")] == [6, 6]
    whole = dlcli("evaluate", "r", "f.csv", "--json").json["data"]
    assert min(summary["test"]["rmse"], whole["rmse"]) > 0


def test_a_resumed_run_is_the_same_to_the_bit(dlcli: Command) -> None:
    write_forecast(hourly(200, series=("north", "south")), window=SHOPS)
    train(dlcli, "straight", "--set", "training.epochs=4")
    train(dlcli, "r", "--set", "training.epochs=1")
    train(dlcli, "r", "--resume", "--set", "training.epochs=4")
    assert differences(Path("straight"), Path("r")) == []


def test_later_rows_change_no_weight(dlcli: Command) -> None:
    table = hourly(200)
    late = pl.int_range(pl.len()) >= 120
    weights = []
    for name, changed in (("a", table), ("b", table.with_columns(pl.col("sales") + late * 9.0))):
        write_forecast(changed)
        train(dlcli, name, "--set", "data.split.validation=0.2")
        weights.append(load_checkpoint(Path(name) / "last.safetensors").weights)
    for key, tensor in weights[0].items():
        assert tensor.numpy().tobytes() == weights[1][key].numpy().tobytes()


def test_quantiles_give_bounds_and_the_report_shows_forecasts(dlcli: Command) -> None:
    write_forecast(hourly(200), loss="quantile")
    outcome = dlcli("train", "f.yaml", "--run-dir", "r", "--set", "report=quick")
    assert outcome.code == 0, outcome.err
    page = Path("r/report.html").read_text("utf-8")
    for heading in ("Errors by step", "Forecasts against what came", "last season"):
        assert heading in page
    assert "of what came lies within the bounds" in page
    assert dlcli("report", "r").code == 0
    assert {"forecasts-1.svg", "errors-by-step-1.svg"} <= {
        path.name for path in Path("r").iterdir()
    }
    assert dlcli("predict", "r", "f.csv", "-o", "p.csv").code == 0
    found = pl.read_csv("p.csv")
    assert found.columns == ["when", "prediction", "lower", "upper"]
    assert (found["lower"] <= found["upper"]).all()


def test_init_says_how_to_forecast_and_that_works(dlcli: Command) -> None:
    hourly(200, series=("north", "south")).write_csv("f.csv")
    outcome = dlcli("init", "f.csv", "--target", "sales", "--effort", "quick", "-o", "drafted.yaml")
    assert outcome.code == 0, outcome.err
    said = re.search(r"write `(window: \{.*?\})` in", " ".join(outcome.err.split()) + outcome.out)
    assert said is not None, outcome.err
    config = yaml.safe_load((ROOT / "configs" / "visitors.yaml").read_text("utf-8"))
    config["data"] |= {"path": "f.csv", **yaml.safe_load(said[1])}
    assert config["data"]["window"]["group"] == "shop"
    Path("f.yaml").write_text(yaml.safe_dump(config), "utf-8")
    assert dlcli("validate", "f.yaml").code == 0


def test_folds_are_refused_and_a_smoke_run_runs_every_stage(dlcli: Command) -> None:
    write_forecast(hourly(200))
    outcome = dlcli("train", "f.yaml", "--folds", "3")
    assert outcome.code == 2
    assert "windows of different folds would have targets in common" in outcome.err
    assert "every stage ran" in dlcli("train", "f.yaml", "--smoke").out
