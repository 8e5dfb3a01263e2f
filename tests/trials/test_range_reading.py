import math

import numpy as np
import pytest

from dlcli.trials.constant_baseline import ConstantBaseline
from dlcli.trials.range_test import read_range, rising_rates

LRS = rising_rates(1e-6, 10.0, 300)


def losses(shift: float = 0.0, noise: float = 0.02, seeds: int = 5) -> list[list[float]]:
    """Flat below 1e-3, down to 0.2 at about 0.1, and up steeply from there."""
    random = np.random.default_rng(0)
    x = np.log10(LRS) - shift
    curve = 0.7 - 0.25 * np.clip(x + 3, 0, 2) + 3.0 * np.clip(x + 0.9, 0, None) ** 2
    return (curve[:, None] + noise * random.normal(size=(len(LRS), seeds))).tolist()  # type: ignore[no-any-return]


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_smoothed_loss() -> None:
    reading = read_range(LRS, losses())
    assert reading.suggestion is not None
    assert math.log10(reading.lowest_at / reading.suggestion) == pytest.approx(1.0, abs=0.02)
    assert 0.1 < reading.lowest_at < 0.6
    assert reading.begins_at is not None
    assert 1e-3 < reading.begins_at < 1e-2
    assert "lowest at" in reading.reason


def test_it_moves_with_the_curve_and_one_seed_more_changes_little() -> None:
    here, there = read_range(LRS, losses()), read_range(LRS, losses(shift=-1.0))
    assert here.lowest_at / there.lowest_at == pytest.approx(10, rel=0.2)
    more = read_range(LRS, losses(seeds=6))
    assert more.lowest_at == pytest.approx(here.lowest_at, rel=0.3)


def test_the_smoothing_reaches_back_as_far_on_any_number_of_steps() -> None:
    few = rising_rates(1e-6, 10.0, 100)
    thinned = [step for index, step in enumerate(losses(noise=0.0)) if index % 3 == 0]
    coarse = read_range(few, thinned[:100])
    assert coarse.lowest_at == pytest.approx(read_range(LRS, losses(noise=0.0)).lowest_at, rel=0.35)


def test_running_means_are_not_pulled_towards_nothing_at_their_start() -> None:
    reading = read_range(LRS, [[2.0]] * 300)
    assert reading.smoothed == pytest.approx([2.0] * 300)
    assert reading.suggestion is None


def test_a_loss_that_only_rises_gives_no_suggestion() -> None:
    reading = read_range(LRS, [[1.0 + step / 100] for step in range(300)])
    assert (reading.suggestion, reading.begins_at) == (None, None)
    assert "only rises from the lowest rate, 1e-06, on: try lower ones" in reading.reason
    # What is learned shows at lower rates only.
    constant = ConstantBaseline(0.5, 100)
    assert read_range(LRS, [[1.0 + step / 100] for step in range(300)], constant) == reading


def test_a_loss_that_is_flat_before_it_rises_asks_for_no_lower_rates() -> None:
    curve = np.clip(np.log10(LRS), 0, None)[:, None] + 0.7
    for seed in range(8):
        noise = 0.02 * np.random.default_rng(seed).normal(size=(len(LRS), 5))
        noise[0] -= 0.1  # its lowest loss is the first
        reading = read_range(LRS, (curve + noise).tolist())
        assert reading.suggestion is None
        assert "flat within its noise until it rises" in reading.reason


def test_a_loss_that_falls_to_the_end_asks_for_higher_rates() -> None:
    reading = read_range(LRS, [[1.0 - step / 1000] for step in range(300)])
    assert reading.suggestion is None
    assert "still falls at the highest rate, 10: try higher ones" in reading.reason


def test_a_seed_that_diverges_does_not_decide_and_an_early_end_is_an_end() -> None:
    made = losses()
    for step in range(150, 300):
        made[step][2] = math.inf
    whole, cut = read_range(LRS, losses()), read_range(LRS, made[:290])
    assert len(cut.lrs) == 290
    assert cut.suggestion == pytest.approx(whole.suggestion, rel=0.4)


def test_of_few_steps_over_many_rates_a_seed_that_diverges_leaves_the_others() -> None:
    rates = rising_rates(1e-20, 10.0, 30)
    sound = [[0.7 - step / 100] * 3 for step in range(30)]
    diverged = [[*row[:2], math.inf if step > 9 else row[2]] for step, row in enumerate(sound)]
    assert read_range(rates, diverged).smoothed == read_range(rates, sound).smoothed


def flat(noise: float = 0.05, seeds: int = 5, first: int = 0) -> list[list[float]]:
    """Nothing but noise around 0.7."""
    random = np.random.default_rng(first)
    return (0.7 + noise * random.normal(size=(len(LRS), seeds))).tolist()  # type: ignore[no-any-return]


def test_a_curve_that_is_flat_within_its_noise_asks_for_higher_rates() -> None:
    for first in range(20):
        for seeds in (1, 5):
            reading = read_range(LRS, flat(first=first, seeds=seeds))
            assert reading.suggestion is None
            assert "flat within its noise up to the highest rate, 10: try higher" in reading.reason


def test_a_flat_curve_that_rises_in_the_end_asks_for_more_steps() -> None:
    for first in range(20):
        rising = [
            [loss + max(0.0, step - 220) / 20 for loss in losses]
            for step, losses in enumerate(flat(first=first))
        ]
        for reading in (read_range(LRS, rising), read_range(LRS, flat(first=first)[:250])):
            assert reading.suggestion is None
            assert "no rate" in reading.reason or "only rises" in reading.reason


def test_the_same_curve_with_less_noise_is_not_flat() -> None:
    assert read_range(LRS, losses(noise=0.2)).suggestion is not None


@pytest.mark.parametrize("shift", [-4, -3, -2.5, -2, -1, 0, 1, 1.5, 2])
def test_a_suggestion_is_a_rate_of_the_range(shift: float) -> None:
    for seeds in (1, 5):
        reading = read_range(LRS, losses(shift=shift, seeds=seeds))
        assert reading.suggestion is None or LRS[0] <= reading.suggestion <= LRS[-1]
        if reading.suggestion is None:
            assert "--lowest" in reading.reason or "--highest" in reading.reason


def test_a_loss_that_is_lowest_near_the_lowest_rate_asks_for_lower_ones() -> None:
    lrs = rising_rates(0.03, 10.0, 300)
    x = np.log10(lrs)
    curve = 0.3 + (x - np.log10(0.15)) ** 2
    reading = read_range(lrs, curve[:, None].tolist())
    assert reading.suggestion is None
    assert "a tenth of that is below the lowest rate, 0.03: try lower ones" in reading.reason


def test_a_suggestion_is_not_rounded_to_below_the_lowest_rate() -> None:
    lrs = rising_rates(0.0124, 12.4, 300)
    curve = 0.3 + (np.log10(lrs) - np.log10(0.0672)) ** 2
    reading = read_range(lrs, curve[:, None].tolist())
    assert reading.suggestion == 0.0124
    assert reading.lowest_at < 0.125


def test_a_loss_no_lower_than_the_constant_baseline_gives_no_suggestion() -> None:
    made = losses()
    lowest = min(read_range(LRS, made).smoothed)
    beaten, unbeaten = ConstantBaseline(2 * lowest, 100), ConstantBaseline(lowest, 100)
    assert read_range(LRS, made, beaten) == read_range(LRS, made)
    reading = read_range(LRS, made, unbeaten)
    assert reading.suggestion is None
    assert "Nothing is learned from the features" in reading.reason
