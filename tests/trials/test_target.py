import math

from dlcli.trials.comparing.comparison import common_target, epochs_to


def test_the_target_is_what_the_middle_candidate_typically_reaches() -> None:
    losses = {"a": [1.0, 1.2, 9.0], "b": [2.0, 2.0, 2.0], "c": [math.inf, math.inf, 0.0]}
    assert common_target(losses) == 2.0
    assert common_target({"a": [math.inf], "b": [1.0]}) is None


def test_the_first_epoch_at_the_target_counts_and_a_miss_is_a_miss() -> None:
    assert epochs_to(0.5, [0.9, 0.5, 0.4, 0.6]) == 2
    assert epochs_to(0.1, [0.9, 0.5]) is None
    assert epochs_to(0.1, []) is None
