"""Curves against scikit-learn's, and what they do where it has nothing to say."""

import numpy as np
import pytest
from sklearn import metrics

from dlcli.explaining.quality.curves import (
    MAX_CURVES,
    Curve,
    class_curves,
    mean_precision_recall,
    mean_roc,
    precision_recall_curve,
    roc_curve,
    running_median,
    thin,
)
from dlcli.metrics.accumulator import compute_metrics
from dlcli.metrics.roc_auc import RocAuc
from dlcli.metrics.rows import ScoredRows


def made(num_rows: int, seed: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, with ties where there are few levels, and truth that goes with them."""
    random = np.random.default_rng(seed)
    scores = random.integers(levels, size=num_rows) / levels
    return scores, random.random(num_rows) < 0.2 + 0.5 * scores


@pytest.mark.parametrize("levels", [1, 7, 10**6])
def test_roc_points_and_area_are_scikit_learns(levels: int) -> None:
    scores, truth = made(200, 1, levels)
    curve = roc_curve(scores, truth)
    x, y, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    assert curve.x == pytest.approx(x)
    assert curve.y == pytest.approx(y)
    assert curve.area == pytest.approx(metrics.roc_auc_score(truth, scores))


@pytest.mark.parametrize("levels", [1, 7, 10**6])
def test_precision_recall_points_and_area_are_scikit_learns(levels: int) -> None:
    scores, truth = made(200, 2, levels)
    curve = precision_recall_curve(scores, truth)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    assert curve.x == pytest.approx(recall[::-1])
    assert curve.y == pytest.approx(precision[::-1])
    assert curve.area == pytest.approx(metrics.average_precision_score(truth, scores))


def test_mean_curves_are_between_their_curves_and_have_the_mean_area() -> None:
    pairs = [made(300, seed, 50) for seed in range(3)]
    rocs = [roc_curve(*pair) for pair in pairs]
    mean = mean_roc(rocs)
    assert mean.area == pytest.approx(np.mean([own.area for own in rocs]))
    assert np.trapezoid(mean.y, mean.x) == pytest.approx(mean.area, abs=0.005)
    assert (mean.x[0], mean.y[0]) == (0.0, 0.0)
    trades = [precision_recall_curve(*pair) for pair in pairs]
    mean = mean_precision_recall(trades)
    assert np.trapezoid(mean.y, mean.x) == pytest.approx(mean.area, abs=0.01)


def test_the_mean_of_precision_leaves_out_the_point_of_no_rows() -> None:
    wrong_first = Curve(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.5]), 0.5)
    assert mean_precision_recall([wrong_first]).y[0] == 0.0


def test_a_thin_curve_is_the_same_curve() -> None:
    curve = roc_curve(*made(5000, 3, 10**6))
    for most in (50, 10_000):
        thinned = thin(curve, most)
        assert len(thinned.x) <= most
        assert (thinned.x[0], thinned.y[0], thinned.x[-1], thinned.y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(thinned.y, thinned.x) == pytest.approx(curve.area, abs=0.005)
    assert np.trapezoid(thinned.y, thinned.x) == pytest.approx(curve.area, abs=1e-12)
    assert len(thinned.x) < len(curve.x)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_areas_are_those_of_the_metric(num_classes: int) -> None:
    random = np.random.default_rng(5)
    predictions = random.integers(1, 9, (500, num_classes)) / 10
    rows = ScoredRows(predictions, random.integers(num_classes, size=500))
    _, areas = class_curves(rows)
    wanted = compute_metrics([RocAuc()], rows)["roc_auc"]
    assert areas.mean() == pytest.approx(wanted, rel=1e-12)


def test_two_classes_have_the_curve_of_the_second() -> None:
    scores, truth = made(100, 4, 20)
    (own,), areas = class_curves(
        ScoredRows(np.stack([1 - scores, scores], axis=1), truth.astype(int))
    )
    assert own.index == 1
    assert own.share == truth.mean()
    assert own.roc.area == areas[0] == areas[1] == roc_curve(scores, truth).area


def test_the_class_that_is_told_worst_comes_first_and_the_mean_last() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(10, size=500)
    noise = np.linspace(0.1, 3.0, 10)
    predictions = (truth[:, None] == np.arange(10)) + random.normal(size=(500, 10)) * noise
    curves, areas = class_curves(ScoredRows(predictions, truth))
    assert len(curves) == MAX_CURVES + 1
    assert [own.index for own in curves[:2]] == np.argsort(areas)[:2].tolist()
    assert curves[-1].index is None
    assert curves[-1].roc.area == pytest.approx(areas.mean())
    assert curves[-1].share == pytest.approx(0.1)


def test_a_class_that_is_not_there_has_no_curve() -> None:
    predictions = np.random.default_rng(6).dirichlet(np.ones(3), 20)
    curves, areas = class_curves(ScoredRows(predictions, np.arange(20) % 2))
    assert [own.index for own in curves if own.index is not None] in ([0, 1], [1, 0])
    assert np.isnan(areas).tolist() == [False, False, True]
    curves, areas = class_curves(ScoredRows(predictions, np.zeros(20, int)))
    assert curves == ()
    assert np.isnan(areas).all()


def test_a_running_median_follows_a_trend_and_no_outlier() -> None:
    random = np.random.default_rng(7)
    x = random.permutation(np.arange(1000.0))
    y = np.where(x < 500, 1.0, 3.0)
    y[x == 100] = 1e9
    trend = running_median(x, y)
    assert trend is not None
    assert trend.num_rows == 100
    assert (np.diff(trend.x) > 0).all()
    assert (trend.middle[trend.x < 440] == 1.0).all()
    assert (trend.middle[trend.x > 560] == 3.0).all()
    near = np.abs(trend.x - 500).argmin()
    assert (trend.low[near], trend.high[near]) == (1.0, 3.0)


def test_too_few_rows_or_values_have_no_trend() -> None:
    assert running_median(np.arange(40.0), np.zeros(40)) is None
    assert running_median(np.zeros(500), np.arange(500.0)) is None
