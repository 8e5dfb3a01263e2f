"""Campaigns in processes of their own: what they fork must not inherit threads of other tests."""

import subprocess
import sys

from tests.conftest import ROOT, UNMEASURED


def run_apart(campaign: str, *arguments: object) -> str:
    """Run `python -m tests.reliability.CAMPAIGN ARGUMENTS`; return its standard output."""
    outcome = subprocess.run(
        [sys.executable, "-m", f"tests.reliability.{campaign}", *map(str, arguments)],
        cwd=ROOT,
        env=UNMEASURED,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout
