"""Minima against scipy's."""

import numpy as np
import pytest
from scipy import optimize

from dlcli.explaining.quality.minimising import minimise, minimise_between


def log_loss(vector: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the loss of a logistic regression with a penalty, and its gradient."""
    random = np.random.default_rng(3)
    numbers = random.normal(size=(200, 6)) * [1, 1, 1, 5, 5, 0.2]
    signs = np.where(numbers @ [1, -1, 0, 0.3, 0, 2] + random.normal(size=200) > 0, 1, -1)
    margins = signs * (numbers @ vector)
    loss = np.log1p(np.exp(-margins)).mean() + 0.005 * vector @ vector
    pulls = -signs / (1 + np.exp(margins)) / 200
    return float(loss), numbers.T @ pulls + 0.01 * vector


def test_the_minimum_of_a_vector_is_scipys_in_about_as_many_steps() -> None:
    start = np.zeros(6)
    expected = optimize.minimize(
        log_loss, start, method="L-BFGS-B", jac=True, options={"ftol": 1e-11}
    )
    found, was_enough = minimise(log_loss, start, max_steps=expected.nfev + 10, tolerance=1e-11)
    assert was_enough
    assert log_loss(found)[0] == pytest.approx(expected.fun, rel=1e-8)


def test_too_few_steps_are_said() -> None:
    found, was_enough = minimise(log_loss, np.zeros(6), max_steps=3, tolerance=1e-11)
    assert not was_enough
    assert log_loss(found)[0] < log_loss(np.zeros(6))[0]


def test_a_step_that_is_too_long_is_halved() -> None:
    def steep(vector: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.cosh(20 * vector).sum()), 20 * np.sinh(20 * vector)

    found, was_enough = minimise(steep, np.array([0.4, -0.2]), max_steps=100, tolerance=1e-12)
    assert was_enough
    assert found == pytest.approx(np.zeros(2), abs=1e-5)


def test_a_start_at_the_minimum_stays_there() -> None:
    found, was_enough = minimise(
        lambda vector: (float(vector @ vector), 2 * vector),
        np.zeros(3),
        max_steps=1,
        tolerance=1e-9,
    )
    assert (found.tolist(), was_enough) == ([0.0] * 3, True)


@pytest.mark.parametrize("place", [-4.0, -0.3, 1.7, 4.0])
def test_the_minimum_of_a_number_is_found_within_the_tolerance(place: float) -> None:
    found = minimise_between(lambda number: abs(number - place) ** 1.5, -4.0, 4.0, tolerance=1e-6)
    assert found == pytest.approx(place, abs=1e-6)
