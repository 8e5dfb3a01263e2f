"""Short forms of the campaigns in docs/campaigns.md."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def run_campaign(name: str, number: int) -> str:
    """Run it in a process of its own: what it forks must not inherit threads of other tests."""
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    outcome = subprocess.run(
        [sys.executable, "-m", f"tests.reliability.{name}", str(number)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_200_killed_runs_lose_nothing_and_come_to_the_same_bits() -> None:
    assert run_campaign("kills", 200).startswith("200 kills")


def test_200_stopped_runs_leave_nothing_half_done_and_come_to_the_same_bits() -> None:
    assert run_campaign("signals", 200).startswith("200 signals")
