"""Short forms of the campaigns in docs/measurements/campaigns.md."""

import pytest

from tests.conftest import ROOT
from tests.reliability.apart import run_apart
from tests.reliability.bites import MUTATIONS
from tests.reliability.out_of_fold import bias, draw_many


def test_killed_runs_lose_nothing_and_come_to_the_same_bits() -> None:
    assert run_apart("kills", 15).startswith("15 kills")


def test_stopped_runs_leave_nothing_half_done_and_come_to_the_same_bits() -> None:
    assert run_apart("signals", 6).startswith("6 signals")


def test_runs_resumed_by_other_numbers_of_processes_come_to_the_same_bits() -> None:
    assert run_apart("regrouped", 2).startswith("2 kills")


def test_a_killed_search_comes_to_the_same_trials_and_the_same_best_config() -> None:
    assert " 0 differing" in run_apart("killed_trials", "searches", 2)


@pytest.mark.campaign
@pytest.mark.parametrize("what", ["folds", "comparisons"])
def test_killed_folds_and_comparisons_come_to_the_same(what: str) -> None:
    assert " 0 differing" in run_apart("killed_trials", what, 1)


def test_the_out_of_fold_loss_is_not_that_of_the_luckiest_epochs() -> None:
    draws = [*draw_many(6)]
    error, _ = bias([draw.out_of_fold - draw.truth for draw in draws])
    assert abs(error) < 3
    optimism = [draw.out_of_fold - draw.of_best_epochs for draw in draws]
    assert sum(optimism) / len(optimism) > 0.02
    assert min(optimism) > -0.01


@pytest.mark.campaign
def test_all_processes_end_soon_where_their_link_is_cut_or_one_has_no_disk() -> None:
    assert "2 deaths, 0 wrong" in run_apart("deaths", 2)


def test_every_line_that_the_bites_take_out_is_there() -> None:
    gone = [
        (file, line)
        for file, line, *_ in MUTATIONS
        if line not in (ROOT / "dlcli" / file).read_text("utf-8")
    ]
    assert gone == []
