import math

import pytest

from dlcli.trials.comparing.profiles import ratios, score, share_within

TIMES = {"a": [10.0, 30.0, math.inf], "b": [20.0, 10.0, 5.0], "c": [50.0, math.inf, math.inf]}


def test_ratios_to_the_fastest_with_misses_as_misses() -> None:
    assert ratios(TIMES) == {
        "a": [1.0, 3.0, math.inf],
        "b": [2.0, 1.0, 1.0],
        "c": [5.0, math.inf, math.inf],
    }


def test_what_all_miss_counts_for_none() -> None:
    assert ratios({"a": [math.inf], "b": [math.inf]}) == {"a": [math.inf], "b": [math.inf]}


def test_the_profile_steps_at_each_ratio() -> None:
    of_a = ratios(TIMES)["a"]
    assert [share_within(of_a, tau) for tau in (1.0, 2.9, 3.0, 1e9)] == [1 / 3, 1 / 3, 2 / 3, 2 / 3]


def test_the_score_by_hand() -> None:
    # a: 1/3 from 1 to 3, 2/3 from 3 to 4, so (2/3 + 2/3) / 3. b: 2/3 from 1 to 2, then 1.
    found = {name: score(relative) for name, relative in ratios(TIMES).items()}
    assert found == pytest.approx({"a": 4 / 9, "b": (2 / 3 + 2) / 3, "c": 0.0})
