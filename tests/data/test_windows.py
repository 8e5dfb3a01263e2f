"""Forecasts: tables of steps → windows of each part."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dlcli.config import load_config
from dlcli.data.dataset import Dataset, load_dataset
from dlcli.data.series.arranging import arrange
from dlcli.data.signature import NUMBERS
from dlcli.data.windows.baselines import baselines
from dlcli.data.windows.windows import Windows
from dlcli.errors import ConfigError, DataError
from dlcli.tables.reading import read_table
from dlcli.tables.sources import find_source
from tests.data.made_series import hourly, write_forecast

SHOPS = {"group": "shop", "known": ["promo"]}


def load(table: pl.DataFrame, **options: Any) -> Dataset:
    return load_dataset(load_config(write_forecast(table, **options)))


def windows_of(dataset: Dataset, part: str) -> Windows:
    found = dataset.parts[part]
    assert isinstance(found, Windows)
    return found


def target_steps(windows: Windows) -> set[int]:
    return {int(origin) + step for origin in windows.origins for step in range(6)}


@pytest.fixture(scope="module")
def shops() -> pl.DataFrame:
    return hourly(240, series=("north", "south"))


class TestParts:
    def test_a_target_is_in_one_part_and_the_past_reaches_back(self, shops: pl.DataFrame) -> None:
        dataset = load(shops, window=SHOPS)
        steps = {part: target_steps(windows_of(dataset, part)) for part in dataset.parts}
        assert not steps["train"] & steps["validation"]
        assert not steps["validation"] & steps["test"]
        assert steps["test"] == {*range(192, 240), *range(432, 480)}
        assert dataset.num_rows == {
            "train": 2 * (144 - 24 - 5),
            "validation": 2 * (48 - 5),
            "test": 2 * (48 - 5),
        }

    def test_later_rows_change_nothing_that_is_fitted_or_learned_from(
        self, shops: pl.DataFrame
    ) -> None:
        window = {**SHOPS, "fill": "previous"}
        gaps = shops.with_columns(
            pl.when(pl.int_range(pl.len()) % 37 == 5).then(None).otherwise("sales").alias("sales")
        )
        is_late = pl.col("when") >= "2024-01-07"
        late = gaps.with_columns(
            pl.when(is_late).then(pl.col(name) * 50 + 7).otherwise(name).alias(name)
            for name in ("sales", "heat", "promo")
        )
        one, other = load(gaps, window=window), load(late, window=window)
        assert one.fitted == other.fitted
        for name, array in one.parts["train"].inputs.items():
            assert array.tobytes() == other.parts["train"].inputs[name].tobytes()
        for name, array in one.parts["train"].targets.items():
            assert array.tobytes() == other.parts["train"].targets[name].tobytes()
        assert not np.array_equal(
            one.parts["test"].inputs[NUMBERS], other.parts["test"].inputs[NUMBERS]
        )

    def test_known_columns_reach_into_the_horizon_and_others_do_not(self) -> None:
        plain = hourly(120)
        is_last = pl.int_range(pl.len()) >= 114  # the horizon of the last test window
        changed = {
            name: plain.with_columns(
                pl.when(is_last).then(pl.col(name) + 1).otherwise(name).alias(name)
            )
            for name in ("promo", "heat", "sales")
        }

        def last(table: pl.DataFrame) -> np.ndarray:
            dataset = load(table, window={"known": ["promo"]})
            return dataset.parts["test"].take(np.array([-1])).inputs[NUMBERS]

        before = last(plain)
        assert np.array_equal(last(changed["heat"]), before)
        assert np.array_equal(last(changed["sales"]), before)
        differing = np.flatnonzero((last(changed["promo"]) != before).reshape(-1, 24).any(axis=0))
        assert differing.tolist() == [18, 19, 20, 21, 22, 23]  # the last six of a lead of six

    def test_a_horizon_longer_than_the_past_is_covered_by_several_leads(self) -> None:
        dataset = load(hourly(200), window={"past": 4, "horizon": 10, "known": ["promo"]})
        window = dataset.fitted.window
        assert window is not None
        assert window.leads == (4, 8, 10)
        assert dataset.fitted.signature().shape == (3 + 3 * (1 + 2 * len(window.cycles)), 4)

    def test_too_few_steps_say_which_part_and_what_to_change(self) -> None:
        with pytest.raises(
            DataError, match=r"too few steps for train: .*data.window.past or horizon"
        ):
            load(hourly(40))

    def test_several_targets_are_standardised_each(self) -> None:
        dataset = load(hourly(120), window={"targets": ["sales", "heat"]})
        targets = dataset.parts["train"].targets["target"]
        assert targets.shape == (dataset.num_rows["train"], 12)
        by_step = dataset.fitted.target.by_step(targets)
        assert np.abs(by_step.mean(axis=(0, 2))).max() < 0.3
        sales = hourly(120)["sales"].to_numpy()
        first = dataset.fitted.target.truth(targets[:1])[0]
        assert np.allclose(first[:6], sales[24:30], atol=1e-4)


class TestSteps:
    @pytest.mark.parametrize("fill", ["missing", "previous"])
    def test_a_gap_is_refused_with_its_place_or_filled(self, fill: str) -> None:
        table = hourly(240)
        gap = pl.concat([table[:50], table[53:]])
        with pytest.raises(DataError) as raised:
            load(gap)
        assert "f.csv, line 52: 3 steps of 1 hour between 2024-01-03 01:00:00 and" in str(
            raised.value
        )
        assert f"fill: {fill}" in str(raised.value)
        data = {"drop_missing_target": True} if fill == "missing" else {}
        dataset = load(gap, window={"fill": fill}, data=data)
        assert any("3 steps that the table leaves out" in note for note in dataset.notes)
        lost = 3 + 5 if fill == "missing" else 0  # windows whose six targets include one of three
        assert dataset.num_rows["train"] == 144 - 24 - 5 - lost

    def test_missing_targets_are_refused_with_ways_on_that_work(self) -> None:
        table = hourly(240)
        table[60, "sales"] = None
        with pytest.raises(DataError, match=r"line 62: the target 'sales' is missing .*previous"):
            load(table)
        assert load(table, window={"fill": "previous"}).num_rows["train"] == 144 - 24 - 5
        left = load(table, data={"drop_missing_target": True})
        assert left.num_rows["train"] == 144 - 24 - 5 - 6

    def test_rows_of_one_time_are_refused_until_their_series_are_named(
        self, shops: pl.DataFrame
    ) -> None:
        with pytest.raises(DataError, match=r"name the column that tells series apart"):
            load(shops)
        assert load(shops, window={"group": "shop"}).num_rows["train"] == 230

    def test_a_time_between_two_steps_is_refused(self) -> None:
        table = hourly(120)
        table[7, "when"] = "2024-01-01 07:20"
        with pytest.raises(DataError, match=r"line 9: 2024-01-01 07:20:00 is no whole number of"):
            load(table)

    def test_rows_may_come_in_any_order(self, shops: pl.DataFrame) -> None:
        mixed = shops.sample(fraction=1.0, shuffle=True, seed=1)
        one, other = load(shops, window=SHOPS), load(mixed, window=SHOPS)
        assert np.array_equal(
            one.parts["test"].targets["target"], other.parts["test"].targets["target"]
        )

    @pytest.mark.parametrize(
        ("columns", "times", "step", "later"),
        [
            (
                "t",
                ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"],
                "1 month",
                "2020-05-31",
            ),
            (
                "t",
                ["2020-01-15", "2020-04-15", "2020-07-15", "2020-10-15"],
                "3 months",
                "2021-01-15",
            ),
            ("t", ["2020-02-03", "2020-02-10", "2020-02-17", "2020-02-24"], "7 days", "2020-03-02"),
            ("t", ["1700", "1701", "1702", "1703"], "1", "1704"),
            (
                ["y", "m"],
                ["2020,10", "2020,11", "2020,12", "2021,1"],
                "1 month",
                "2021-02-01",
            ),
        ],
    )
    def test_times_may_be_months_weeks_numbers_or_parts_of_a_date(
        self, columns: str | list[str], times: list[str], step: str, later: str
    ) -> None:
        header = columns if isinstance(columns, str) else ",".join(columns)
        values = [
            f"{time},{value}" for time, value in zip(times, (1.0, 2.5, 2.0, 4.0), strict=True)
        ]
        Path("few.csv").write_text("\n".join([f"{header},value", *values]) + "\n", "utf-8")
        window = {"time": columns, "past": 1, "horizon": 1, "targets": ["value"]}
        data = {"path": "few.csv", "window": window, "split": {}}
        dataset = load_dataset(load_config(write_forecast(hourly(1), data=data)))
        assert dataset.fitted.window is not None
        axis = dataset.fitted.window.axis
        assert axis.step_text == step
        assert dataset.num_rows == {"train": 3}
        table = dataset.fitted.clean(read_table(find_source("few.csv", Path())))
        series = arrange(table, axis, None, None, ["value"])
        assert series.text(4) == later


class TestSettings:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ({"split": {"test": 0.2, "time": "when"}}, "windows are split by `window.time`"),
            ({"task": "regression"}, "`task: regression` does nothing beside `window`"),
            ({"target": "heat"}, "a forecast's are `window.targets`"),
            ({"weight": "promo"}, "`weight` can't be used with `window`"),
            ({"streaming": True}, "a series in memory"),
        ],
    )
    def test_what_forecasts_leave_no_room_for_is_refused(
        self, data: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            load(hourly(10), data=data)

    def test_columns_that_are_not_there_are_named(self) -> None:
        with pytest.raises(
            ConfigError, match=r"data.window.targets\[0\]: .*no column 'sale'; did you"
        ):
            load(hourly(10), window={"targets": ["sale"]})

    @pytest.mark.parametrize(
        ("sales", "message"),
        [
            ("x", r"line 2: column 'sales' has 'x' where a number is expected"),
            ("", "the target 'sales' is missing in every training step"),
            ("5", "the target 'sales' is 5 in every training row"),
        ],
    )
    def test_targets_that_cannot_be_learned_are_refused(self, sales: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load(hourly(60).with_columns(pl.lit(sales).alias("sales")))

    @pytest.mark.parametrize(
        ("window", "message"),
        [
            ({"targets": []}, r"data.window.targets: must have at least 1"),
            ({"season": 25}, "`season` is 25 steps, and a forecast is made from `past`, 24"),
            ({"known": ["when"]}, "'when' is listed twice, in `time` and `known`"),
        ],
    )
    def test_windows_that_make_no_sense_are_refused(
        self, window: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            load(hourly(10), window=window)

    def test_a_forecast_needs_a_window(self) -> None:
        data = {"task": "forecast", "target": "sales", "window": None}
        with pytest.raises(ConfigError, match="needs `window`"):
            load(hourly(10), data=data)


class TestBaselines:
    def test_the_ridge_is_that_of_all_windows_at_once(self, shops: pl.DataFrame) -> None:
        dataset = load(shops, window={**SHOPS, "past": 10}, data={"features": ["sales", "promo"]})
        train, validation = windows_of(dataset, "train"), windows_of(dataset, "validation")
        ridge = baselines(dataset.fitted, train, validation)[-1]
        penalty = float(ridge.explanation.split("penalty of ")[1].split()[0])
        x, y = (array.astype(float) for array in (train.inputs[NUMBERS], train.targets["target"]))
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        squares = (x - mean_x).T @ (x - mean_x) + penalty * len(x) * np.eye(x.shape[1])
        weights = np.linalg.solve(squares, (x - mean_x).T @ (y - mean_y))
        expected = (validation.inputs[NUMBERS] - mean_x) @ weights + mean_y
        assert np.allclose(ridge.forecast(validation.origins), expected, atol=1e-3)

    def test_the_last_value_and_the_best_season_are_repeated(self) -> None:
        dataset = load(hourly(240))
        window = dataset.fitted.window
        assert window is not None
        assert window.season == 24
        train = windows_of(dataset, "train")
        last, season, _ = baselines(dataset.fitted, train, None)
        values = train.series.targets[:, 0]
        origin = np.array([50])
        assert last.forecast(origin)[0].tolist() == [values[49]] * 6
        assert season.forecast(origin)[0].tolist() == values[26:32].tolist()
