"""Campaigns that take longer than this are run by hand: see docs/campaigns.md."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_200_killed_runs_lose_nothing_and_come_to_the_same_bits() -> None:
    # A process of its own: what it forks must not inherit threads of other tests.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    outcome = subprocess.run(
        [sys.executable, "-m", "tests.reliability.kills", "200"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("200 kills")
