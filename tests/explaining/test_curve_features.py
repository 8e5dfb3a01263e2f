"""Features of learning curves."""

import numpy as np
import pytest
from scipy import stats

from dlcli.explaining.learning.curve_features import LossCurve


def curve(losses: np.ndarray) -> LossCurve:
    """Return a curve of losses, epoch by epoch."""
    return LossCurve(np.arange(1, len(losses) + 1), losses, reference=1.0)


@pytest.mark.parametrize("num_losses", [4, 30, 300])
@pytest.mark.parametrize("num_levels", [3, 50, 10**9])
def test_the_trend_is_kendalls_tau(num_losses: int, num_levels: int) -> None:
    losses = np.random.default_rng(num_losses).integers(num_levels, size=num_losses) / num_levels
    expected = stats.kendalltau(np.arange(num_losses), losses).statistic
    assert curve(losses).trend() == float(expected)


def test_three_losses_and_equal_ones_have_no_trend() -> None:
    assert curve(np.array([3.0, 2.0, 1.0])).trend() == 0.0
    assert curve(np.ones(9)).trend() == 0.0
