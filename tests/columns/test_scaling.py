"""Each way of scaling numbers: its values, its inverse, what is stored of it."""

from pathlib import Path
from statistics import NormalDist
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from dlcli.columns.family import FittedColumn
from dlcli.columns.numeric import NumericColumn
from dlcli.columns.running_statistics import Sample, quantiles
from dlcli.columns.scaling.normal import normal_probabilities, normal_quantiles
from dlcli.columns.scaling.scales import Scale
from dlcli.tables.table import Table
from tests.columns.test_family import MISSING, fit, table
from tests.conftest import ROOT, Command
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

SCALES: tuple[str, ...] = get_args(Scale)
WITH_TRANSFORM = ("robust_clip", "quantile")

every_scale = pytest.mark.parametrize("scale", SCALES)


def numeric(numbers: list[float] | np.ndarray, scale: str) -> NumericColumn:
    column = fit(NumericColumn, rows_of(numbers), scale=scale)
    assert isinstance(column, NumericColumn)
    return column


def encoded(column: NumericColumn, numbers: list[float] | np.ndarray) -> np.ndarray:
    return column.encode(rows_of(numbers), MISSING)[0][:, 0]


def rows_of(numbers: list[float] | np.ndarray) -> Table:
    return table([str(number) for number in numbers])


def waves() -> np.ndarray:
    numbers = (np.arange(300) * 37 % 101) ** 2 / 100
    numbers[100:150] = 25.0
    return numbers


def test_robust_clip_is_that_of_realmlp() -> None:
    # By pytabkit 1.7.0, float32: MedianCenterFactory()._fit, then RobustScaleFactory()._fit, then
    # smooth_clip_func, of a column whose middle half has a range and of one whose has none.
    spread = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 1000.0]
    expected = [-0.299861, -0.272837, -0.218595, -0.109516, 0.109516, 0.539028, 1.286918, 2.981743]
    assert encoded(numeric(spread, "robust_clip"), spread) == pytest.approx(expected, abs=1e-6)
    rarely = [0.0] * 7 + [10.0]
    expected = [0.0] * 7 + [1.664101]
    assert encoded(numeric(rarely, "robust_clip"), rarely) == pytest.approx(expected, abs=1e-6)


def test_robust_clip_keeps_all_numbers_within_3() -> None:
    column = numeric(waves(), "robust_clip")
    assert encoded(column, [-3e38, 3e38]).tolist() == [-3, 3]
    assert column.find_bad(rows_of([-3e38, 3e38]), MISSING) == []


def test_quantile_is_scikit_learns_transformer_with_normal_output() -> None:
    # By scikit-learn 1.9.1: QuantileTransformer(n_quantiles=10, output_distribution="normal",
    # subsample=10**9).fit(waves()[:, None]).transform(...); 10 = max(min(300 // 30, 1000), 10).
    new = [-1.0, 0.3, 24.0, 25.0, 26.0, 60.0, 100.0, 500.0]
    expected = [-5.19933758, -2.07382853, -0.17103336, 0.0, 0.16532667, 0.87097716]
    expected += [5.19933758, 5.19933758]
    assert encoded(numeric(waves(), "quantile"), new) == pytest.approx(expected, abs=1e-8)


def test_quantile_gives_a_number_that_many_rows_share_the_middle_of_their_ranks() -> None:
    # At an end too, where scikit-learn's would be -5.2: half of the rows are below the middle of
    # the 60 % that are 0, were they told apart at random, as with the noise of TabM's examples.
    half_zero = [0.0] * 60 + [float(number) for number in range(1, 41)]
    column = numeric(half_zero, "quantile")
    assert encoded(column, [0.0])[0] == pytest.approx(-0.59, abs=0.06)  # of a rank of 0.28
    assert encoded(column, [-0.1, 41.0]) == pytest.approx([-5.199338, 5.199338], abs=1e-6)


def test_more_rows_have_more_landmarks_up_to_1000() -> None:
    for num_rows, num_landmarks in ((20, 10), (600, 20), (31_000, 1000)):
        column = numeric(np.arange(num_rows), "quantile")
        assert column.encoding_in_full() == (
            f"to a normal distribution, by {num_landmarks} quantiles"
        )


@every_scale
def test_the_networks_numbers_stand_for_numbers_in_the_datas_units(scale: str) -> None:
    numbers = waves()
    column = numeric(numbers, scale)
    assert column.unscaled(encoded(column, numbers)) == pytest.approx(numbers, rel=1e-9, abs=1e-9)
    assert (column.center_and_scale is None) == (scale in WITH_TRANSFORM)


@every_scale
@pytest.mark.parametrize("cells", [["7", "7", "7"], ["", "NA", ""]])
def test_a_column_without_two_numbers_is_scaled_to_one(scale: str, cells: list[str]) -> None:
    column = fit(NumericColumn, table(cells), scale=scale)
    assert isinstance(column, NumericColumn)
    values = column.encode(table(cells), MISSING)[0][:, 0]
    assert len({*values.tolist()}) == 1
    again = column.unscaled(values)
    assert again.tolist() == [7, 7, 7] if cells[0] else again.tolist() == [0, 0, 0]
    if scale in WITH_TRANSFORM:
        assert values.tolist() == [0, 0, 0]
        assert np.isfinite(column.encode(table(["1e30", "0"]), MISSING)[0]).all()


@every_scale
def test_what_is_fitted_comes_back_from_a_checkpoint(scale: str) -> None:
    column = numeric(waves(), scale)
    stored = column.model_dump_json()
    assert TypeAdapter(FittedColumn).validate_json(stored) == column
    assert ("then" in column.model_dump()) == (scale in WITH_TRANSFORM)
    assert column.continued(numeric([1.0, 2.0], scale)) == numeric([1.0, 2.0], scale)


def test_what_becomes_of_numbers_is_told_on_pages() -> None:
    spread, constant = numeric([1.0, 3.0, 5.0], "robust_clip"), numeric([2.0, 2.0], "robust_clip")
    assert spread.encoding_in_full() == "(x − 3) / 2, clipped smoothly at ±3"
    assert constant.encoding_in_full() == "0: the same in every training row"


def test_normal_quantiles_are_those_of_the_standard_library() -> None:
    ends = 10.0 ** -np.arange(1, 16)
    shares = np.concatenate([np.linspace(0.0005, 0.9995, 999), ends, 1 - ends])
    expected = [NormalDist().inv_cdf(share) for share in shares]
    assert normal_quantiles(shares) == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert normal_probabilities(np.array(expected)) == pytest.approx(shares, rel=1e-12)


@pytest.mark.parametrize("weights", [[1, 2, 1, 4, 3], [2, 2, 2, 2, 2]])
def test_quantiles_of_weighted_numbers_are_those_of_repeated_ones(weights: list[int]) -> None:
    values, shares = np.array([5.0, 1.0, 9.0, 2.0, 4.0]), np.linspace(0, 1, 23)
    counts = np.array(weights) // min(weights)
    wanted = np.quantile(np.repeat(values, counts), shares)
    for factor in (1.0, 0.01, 1e5):
        found = quantiles(Sample(values, factor * np.array(weights)), shares)
        assert found == pytest.approx(wanted)
    with_gap = Sample(np.append(values, np.nan), np.append(weights, 9.0))
    assert quantiles(with_gap, shares) == pytest.approx(wanted)
    assert quantiles(Sample(values), shares) == pytest.approx(np.quantile(values, shares))
    assert not len(quantiles(Sample(np.array([np.nan])), shares))


def test_a_run_is_resumed_to_the_bit_and_predicts_by_what_was_fitted(dlcli: Command) -> None:
    config = write_config(Path("c.yaml"), "adam", "exponential", training={"epochs": 3})
    scaled = ("--set", "data.scale=quantile")
    for run, options in (
        ("straight", []),
        ("r", ["--set", "training.epochs=2"]),
        ("r", ["--resume", "--set", "training.epochs=3"]),
    ):
        outcome = dlcli("train", config, "--run-dir", run, *scaled, *options)
        assert outcome.code == 0, outcome.err
    assert " quantile" in outcome.out
    assert differences(Path("straight"), Path("r")) == []
    # A file of one row, whose own quantiles would make every number the same.
    data = ROOT / "data" / "penguins.csv"
    Path("one.csv").write_text("\n".join(data.read_text().splitlines()[:2]) + "\n")
    first, alone = (
        dlcli("predict", "r", file, "-o", "-").out.splitlines()[1].rsplit(",", 3)
        for file in (data, "one.csv")
    )
    assert alone[0] == first[0]
    assert [float(share) for share in alone[1:]] == pytest.approx([*map(float, first[1:])])
