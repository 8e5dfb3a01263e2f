"""Resampled figures against the figures of rows that are really repeated."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dlcli.explaining.quality.bootstrap import Estimate, Predictions, bootstrap, estimate, resample
from dlcli.metrics import Metric, metrics_for
from dlcli.metrics.accumulator import compute_metrics
from dlcli.metrics.rows import ScoredRows

NUMBER_METRICS = metrics_for("regression")
CLASS_METRICS = metrics_for("multiclass")
NAMES = [metric.name for metric in CLASS_METRICS]


def score(answers: np.ndarray, truth: np.ndarray, metrics: Sequence[Metric]) -> dict[str, Any]:
    return compute_metrics(metrics, ScoredRows(answers, truth))


def made_classes(num_rows: int, num_classes: int, seed: int) -> tuple[Predictions, np.ndarray]:
    """Return probabilities with many ties, better than chance, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(num_classes, size=num_rows)
    weights = random.integers(1, 4, size=(num_rows, num_classes)).astype(float)
    weights[np.arange(num_rows), truth] += 1
    predictions = weights / weights.sum(axis=1, keepdims=True)
    return Predictions(predictions, -np.log(predictions[np.arange(num_rows), truth])), truth


def repeated(counts: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts.astype(int))


@pytest.mark.parametrize("num_classes", [2, 4])
def test_class_figures_are_those_of_the_repeated_rows(num_classes: int) -> None:
    own, truth = made_classes(40, num_classes, seed=1)
    (found,) = bootstrap([own], truth, CLASS_METRICS, seed=5, num_resamples=30)
    counts = np.concatenate(list(resample(40, 5, 30)), axis=1)
    assert counts.shape == (40, 30)
    assert (counts.sum(axis=0) == 40).all()
    for index in range(30):
        rows = repeated(counts[:, index])
        wanted = score(own.values[rows], truth[rows], CLASS_METRICS)
        assert found["loss"][index] == pytest.approx(own.losses[rows].mean())
        for name in NAMES:
            assert found[name][index] == pytest.approx(wanted[name]), name


def test_number_figures_are_those_of_the_repeated_rows() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(1e4, 1.0, 30)
    predictions = truth + random.normal(size=30)
    own = Predictions(predictions, np.abs(predictions - truth))
    (found,) = bootstrap([own], truth, NUMBER_METRICS, seed=3, num_resamples=20)
    counts = np.concatenate(list(resample(30, 3, 20)), axis=1)
    for index in range(20):
        rows = repeated(counts[:, index])
        wanted = score(predictions[rows], truth[rows], NUMBER_METRICS)
        for name in (metric.name for metric in NUMBER_METRICS):
            assert found[name][index] == pytest.approx(wanted[name]), name


def test_a_resample_without_a_class_counts_the_classes_that_it_has() -> None:
    own, truth = made_classes(6, 3, seed=4)
    truth = np.array([0, 0, 0, 1, 1, 2])
    (found,) = bootstrap([own], truth, CLASS_METRICS, seed=1, num_resamples=200)
    counts = np.concatenate(list(resample(6, 1, 200)), axis=1)
    lacking = np.flatnonzero(counts[5] == 0)
    assert len(lacking) > 20
    for index in lacking:
        rows = repeated(counts[:, index])
        present = np.unique(truth[rows])
        if len(present) < 2:
            assert np.isnan(found["roc_auc"][index])
            continue
        areas = []
        for label in present:
            pair = np.stack([1 - own.values[rows, label], own.values[rows, label]], axis=1)
            told = score(pair, (truth[rows] == label).astype(int), CLASS_METRICS)
            areas.append(told["roc_auc"] or 0.0)
        assert found["roc_auc"][index] == pytest.approx(np.mean(areas))


def test_resamples_that_define_no_figure_are_left_out() -> None:
    own, truth = made_classes(5, 2, seed=0)
    truth = np.array([1, 0, 0, 0, 0])
    (found,) = bootstrap([own], truth, CLASS_METRICS, seed=0)
    assert 200 < np.isnan(found["roc_auc"]).sum() < 500
    told = estimate(0.5, found["roc_auc"])
    assert told.low is not None
    assert np.isfinite(told.low)


def test_standard_errors_of_a_share_stay_between_0_and_1() -> None:
    samples = np.array([0.9, 1.0] * 40)
    assert estimate(0.97, samples).high == pytest.approx(0.97 + 1.96 * 0.05)
    assert estimate(0.97, samples, is_share=True).high == 1.0
    assert estimate(0.03, samples, is_share=True).low == 0.0


def test_equal_numbers_have_no_r2() -> None:
    own = Predictions(np.arange(4.0), np.zeros(4))
    (found,) = bootstrap([own], np.full(4, 0.1), NUMBER_METRICS, seed=0)
    assert np.isnan(found["r2"]).all()
    assert estimate(None, found["r2"]) == Estimate(None, None, None)
    own = Predictions(np.arange(2.0), np.zeros(2))  # half of its resamples are one row twice
    (found,) = bootstrap([own], np.array([0.1, 1e6 + 0.1]), NUMBER_METRICS, seed=0)
    assert 400 < np.isnan(found["r2"]).sum() < 600


def test_predictors_are_resampled_alike() -> None:
    own, truth = made_classes(50, 3, seed=7)
    first, second = bootstrap([own, own], truth, CLASS_METRICS, seed=9)
    for name, values in first.items():
        assert (values == second[name]).all()
    again = bootstrap([own], truth, CLASS_METRICS, seed=9)[0]
    other = bootstrap([own], truth, CLASS_METRICS, seed=10)[0]
    assert (again["accuracy"] == first["accuracy"]).all()
    assert (other["accuracy"] != first["accuracy"]).any()


def test_blocks_make_no_difference_to_how_many_there_are() -> None:
    sizes = [block.shape for block in resample(300_000, 0, 10)]
    assert sizes == [(300_000, 3)] * 3 + [(300_000, 1)]


@pytest.mark.parametrize("num_resamples", [400, 60], ids=["percentiles", "standard errors"])
def test_intervals_cover_the_truth_as_often_as_they_say(num_resamples: int) -> None:
    random = np.random.default_rng(0)
    covered = np.zeros(2)
    for trial in range(300):
        truth = random.normal(size=100)
        predictions = truth + random.normal(size=100)
        own = Predictions(predictions, (predictions - truth) ** 2)
        (found,) = bootstrap([own], truth, NUMBER_METRICS, trial, num_resamples)
        metrics = score(predictions, truth, NUMBER_METRICS) | {"loss": own.losses.mean()}
        for place, (name, value) in enumerate([("loss", 1.0), ("mae", np.sqrt(2 / np.pi))]):
            told = estimate(metrics[name], found[name])
            assert told.low is not None
            assert told.high is not None
            covered[place] += told.low < value < told.high
    assert (covered > 0.91 * 300).all()
    assert (covered < 0.98 * 300).all()


def test_groups_of_equal_rows_have_the_intervals_of_one_row_each() -> None:
    predictions, truth = made_classes(40, 3, seed=4)
    rows = np.tile(np.arange(40), 5)
    copies = Predictions(predictions.values[rows], predictions.losses[rows])
    (single,) = bootstrap([predictions], truth, CLASS_METRICS, seed=6, num_resamples=50)
    (grouped,) = bootstrap(
        [copies], truth[rows], CLASS_METRICS, seed=6, num_resamples=50, groups=rows
    )
    (wrong,) = bootstrap([copies], truth[rows], CLASS_METRICS, seed=6, num_resamples=50)
    for name in ("loss", *NAMES):
        assert grouped[name] == pytest.approx(single[name]), name
    assert wrong["loss"].std() < 0.7 * single["loss"].std()
