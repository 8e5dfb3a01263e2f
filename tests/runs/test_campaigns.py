"""Short forms of the campaigns in docs/measurements/campaigns.md."""

from tests.reliability.apart import run_apart


def test_killed_runs_lose_nothing_and_come_to_the_same_bits() -> None:
    assert run_apart("kills", 40).startswith("40 kills")


def test_stopped_runs_leave_nothing_half_done_and_come_to_the_same_bits() -> None:
    assert run_apart("signals", 15).startswith("15 signals")
