"""Calibration against sums by hand, and temperatures that were planted."""

import numpy as np
import pytest
from sklearn import metrics

from dlcli.explaining.quality.calibration import (
    chance_error,
    measure_reliability,
    scale_temperature,
    softmax,
)
from dlcli.explaining.quality.temperature import fit_temperature, log_loss


def drawn(num_rows: int, seed: int, num_classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and truth that is drawn from the probabilities that they say."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (num_rows, num_classes))
    uniform = random.random((num_rows, 1))
    truth = (softmax(logits).cumsum(axis=1) < uniform).sum(axis=1)
    return logits, np.minimum(truth, num_classes - 1)


def test_the_calibration_error_is_that_by_hand() -> None:
    # Two bins of ten: 0.6 sure and 4 of 10 right, 0.9 sure and all right.
    confidence = np.repeat([0.6, 0.9], 10)
    truth = np.array([0] * 4 + [1] * 6 + [0] * 10)
    found = measure_reliability(np.stack([confidence, 1 - confidence], axis=1), truth)
    assert found.confidence == pytest.approx([0.6, 0.9])
    assert found.accuracy == pytest.approx([0.4, 1.0])
    assert found.num_rows.tolist() == [10, 10]
    assert found.error == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    # Wilson's interval of 4 in 10.
    assert (found.low[0], found.high[0]) == pytest.approx((0.1682, 0.6873), abs=1e-4)


def test_bins_hold_as_many_rows_each() -> None:
    probabilities = softmax(drawn(305, 1)[0])
    found = measure_reliability(probabilities, np.zeros(305, int))
    assert len(found.num_rows) == 15
    assert set(found.num_rows) <= {20, 21}
    assert (np.diff(found.confidence) > 0).all()


def test_rows_of_one_confidence_stay_together() -> None:
    probabilities = np.tile([0.7, 0.3], (100, 1))
    truth = (np.arange(100) % 10 >= 7).astype(int)
    found = measure_reliability(probabilities, truth)
    assert found.num_rows.tolist() == [100]
    assert found.error == pytest.approx(0.0)


def test_few_rows_are_one_bin() -> None:
    found = measure_reliability(softmax(drawn(5, 2)[0]), np.zeros(5, int))
    assert found.num_rows.tolist() == [5]


def test_probabilities_that_are_right_stay_below_what_chance_explains() -> None:
    below = 0
    for seed in range(100):
        logits, truth = drawn(150, seed)
        probabilities = softmax(logits)
        below += measure_reliability(probabilities, truth).error <= chance_error(probabilities, 0)
    assert 88 <= below <= 100
    logits, truth = drawn(500, 1)
    sure = softmax(4 * logits)
    assert measure_reliability(sure, truth).error > 2 * chance_error(sure, 0)


def test_the_planted_temperature_is_found() -> None:
    logits, truth = drawn(20_000, 3)
    found = fit_temperature(3 * logits, truth)
    assert found == pytest.approx(3.0, rel=0.05)
    own = fit_temperature(logits, truth)
    assert own is not None
    assert found == pytest.approx(3 * own, rel=1e-4)
    least = log_loss(logits, truth, own)
    assert least <= min(log_loss(logits, truth, factor * own) for factor in (0.99, 1.01))


def test_a_temperature_mends_other_rows() -> None:
    (fitted, fitted_truth), (shown, shown_truth) = drawn(2000, 4), drawn(2000, 5)
    before = measure_reliability(softmax(3 * shown), shown_truth).error
    found = scale_temperature(
        (3 * fitted, fitted_truth), (3 * shown, shown_truth), is_on_same_rows=False
    )
    assert found.num_rows == 2000
    assert found.reliability is not None
    assert found.reliability.error < 0.3 * before


def test_where_no_temperature_is_best_there_is_none() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 3))
    assert fit_temperature(logits, logits.argmax(axis=1)) is None
    assert fit_temperature(logits, logits.argmin(axis=1)) is None
    assert fit_temperature(np.zeros((50, 3)), np.arange(50) % 3) is None
    found = scale_temperature(
        (logits, logits.argmax(axis=1)), (logits, np.arange(50) % 3), is_on_same_rows=True
    )
    assert (found.temperature, found.reliability) == (None, None)


def test_log_loss_is_scikit_learns() -> None:
    logits, truth = drawn(100, 6)
    wanted = metrics.log_loss(truth, softmax(logits / 2), labels=range(4))
    assert log_loss(logits, truth, 2.0) == pytest.approx(wanted)
    assert log_loss(np.array([[0.0, 900.0]]), np.array([0])) == pytest.approx(900.0)
