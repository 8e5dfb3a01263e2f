import numpy as np
import pytest

from dlcli.trials.comparing.verdict import Interval, adjust, judge, mean_interval


def test_holm_on_a_vector_by_hand() -> None:
    # Sorted: 0.01 × 4, 0.02 × 3, 0.03 × 2 (not below the one before), 0.5 × 1.
    assert adjust([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert adjust([0.9, 0.8]) == [1.0, 1.0]


def test_a_paired_t_test_by_hand() -> None:
    # Differences -1, -2, -3: mean -2, standard error 1/√3, t = -2√3, and t(2) beyond 3.4641 both
    # ways is 1 - t/√(2 + t²) = 0.074180.
    verdict = judge({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]})
    [difference] = verdict.differences
    assert (difference.first, difference.second) == ("a", "b")
    assert difference.p_value == pytest.approx(0.0741799)
    # 95 % of t(2) lie within 4.302653.
    assert difference.by.low == pytest.approx(-2 - 4.302653 / 3**0.5)
    assert verdict.winner is None


def test_the_mean_interval_of_one_number_is_infinite() -> None:
    assert mean_interval([3.0]) == Interval(3.0, -np.inf, np.inf)


def test_a_planted_winner_is_found_whatever_pairs_share() -> None:
    random = np.random.default_rng(0)
    shared = 10 * random.normal(size=10)  # what a seed does to all alike
    losses = {name: shared + 0.1 * random.normal(size=10) for name in ("b", "c")}
    losses["a"] = shared - 1 + 0.1 * random.normal(size=10)
    verdict = judge({name: drawn.tolist() for name, drawn in losses.items()})
    assert verdict.winner == "a" == verdict.order[0]
    assert verdict.groups == (("a",), tuple(name for name in verdict.order if name != "a"))


def test_the_same_twice_is_no_difference_and_always_the_same_one_is() -> None:
    verdict = judge({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.5, 2.5]})
    assert verdict.groups == (("a", "b"), ("c",))
    assert verdict.winner is None


def test_groups_may_overlap() -> None:
    # A staircase of small steps with some noise: neighbours are alike, the ends are not.
    noise = np.random.default_rng(1).normal(size=(3, 8))
    verdict = judge({name: (noise[i] + 0.8 * i).tolist() for i, name in enumerate("abc")})
    assert verdict.groups == (("a", "b"), ("b", "c"))


@pytest.mark.parametrize("noise", ["normal", "exponential", "standard_t"])
def test_candidates_that_are_alike_are_seldom_told_apart(noise: str) -> None:
    random = np.random.default_rng(0)
    arguments = (3,) if noise == "standard_t" else ()
    false = 0
    for _ in range(400):
        draws = getattr(random, noise)(*arguments, size=(6, 10)) + random.normal(size=10)
        verdict = judge({str(index): drawn.tolist() for index, drawn in enumerate(draws)})
        false += any(drawn.is_clear for drawn in verdict.differences)
    assert false / 400 <= 0.05
