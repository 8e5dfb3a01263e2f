"""Student's t distribution against scipy's."""

import math

import pytest
from scipy import special

from dlcli.student_t import central_quantile, two_sided_probability


@pytest.mark.parametrize("num_degrees", [1, 2, 3, 9, 10, 100, 999, 12_345])
def test_probabilities_and_quantiles_are_scipys(num_degrees: int) -> None:
    for t in (0.0, 1e-3, 0.3, 1.0, 2.0, 10.0, 1e3):
        expected = 2 * special.stdtr(num_degrees, -t)
        assert two_sided_probability(t, num_degrees) == pytest.approx(expected, rel=1e-10)
        assert two_sided_probability(-t, num_degrees) == two_sided_probability(t, num_degrees)
    for probability in (0.01, 0.5, 0.95, 0.999):
        expected = special.stdtrit(num_degrees, (1 + probability) / 2)
        assert central_quantile(probability, num_degrees) == pytest.approx(expected, rel=1e-10)


def test_nothing_lies_beyond_infinity() -> None:
    assert two_sided_probability(math.inf, 5) == 0.0


def test_a_million_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert central_quantile(0.95, 1_000_000) == pytest.approx(1.959966, abs=1e-6)
