import math

import pytest

from dlcli.trials.comparing.learning_rate_grid import (
    Choice,
    choose,
    edges_to_move,
    grown,
    rates_around,
)


def test_rates_lie_evenly_around_the_default_and_are_written_shortly() -> None:
    assert rates_around(0.01) == [0.001, 0.0032, 0.01, 0.032, 0.1]
    assert rates_around(0.01, 1) == [0.01]


def test_a_grid_grows_beyond_its_edge_as_far_as_its_rates_are_apart() -> None:
    assert grown([0.01, 0.1], 1) == [0.01, 0.1, 1.0]
    assert grown([0.1, 0.01], -1) == [0.001, 0.01, 0.1]
    assert grown([0.1, 0.2, 0.4], 1) == [0.1, 0.2, 0.4, 0.8]


def test_a_grid_that_grows_often_keeps_its_decades() -> None:
    lrs = rates_around(1e-3)
    for _ in range(6):
        lrs = grown(lrs, 1)
    assert lrs[-6:] == [0.032, 0.1, 0.32, 1.0, 3.2, 10.0]


def test_rates_that_are_close_to_each_other_are_not_rounded_into_one() -> None:
    assert grown([0.1, 0.101], 1)[-1] == pytest.approx(0.10201)


def test_the_choice_is_by_the_median_and_the_range_around_it_is_told() -> None:
    choice = choose(
        {
            1.0: [math.inf, math.inf, 0.1],
            0.1: [1.0, 1.1, 9.0],
            0.01: [1.0, 1.0, 1.2],
            0.001: [2.0, 2.0, 2.0],
            0.0001: [1.05, 1.05, 1.05],  # as good, but not beside it
        }
    )
    assert choice is not None
    assert (choice.lr, choice.loss, choice.edge) == (0.01, 1.0, 0)
    assert choice.near == (0.01, 0.1)
    assert choice.decades == pytest.approx(1.0)


@pytest.mark.parametrize(("best", "edge"), [(0.1, -1), (1.0, 0), (10.0, 1)])
def test_an_edge_is_told(best: float, edge: int) -> None:
    choice = choose({lr: [abs(math.log10(lr / best))] for lr in (0.1, 1.0, 10.0)})
    assert choice is not None
    assert (choice.lr, choice.edge) == (best, edge)


def test_edges_of_all_optimizers_are_moved_and_divergence_asks_for_lower_rates() -> None:
    high, inside = Choice(1.0, 0.1, 1, (1.0, 1.0)), Choice(1.0, 0.1, 0, (1.0, 1.0))
    assert edges_to_move([inside, inside]) == []
    assert edges_to_move([high, inside]) == [1]
    assert edges_to_move([high, None]) == [-1, 1]


def test_of_equal_rates_the_lowest_is_chosen_and_one_rate_has_no_edge() -> None:
    choice = choose({0.1: [1.0], 0.01: [1.0]})
    assert choice is not None
    assert choice.lr == 0.01
    only = choose({0.1: [-1.0]})
    assert only is not None
    assert (only.edge, only.decades) == (0, 0.0)


def test_a_rate_at_which_half_the_runs_diverge_is_not_chosen() -> None:
    choice = choose({0.1: [0.1, math.inf], 0.01: [1.0, 2.0], 0.001: []})
    assert choice is not None
    assert choice.lr == 0.01
    assert choose({0.1: [math.inf], 0.01: [math.inf, 1.0]}) is None
    assert choose({0.1: []}) is None
