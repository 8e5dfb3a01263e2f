"""Run every check, all of them even when one fails: `python -m tests.check`.

Where DLCLI_COVERAGE is set, the tests' coverage is measured too, which takes half as long again.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = str(Path(sys.executable).parent) + "/"

STATIC: dict[str, list[str]] = {
    "types": [BIN + "mypy"],
    "format": [BIN + "ruff", "format", "--check", "."],
    "lint": [BIN + "ruff", "check", "."],
    "import layers": [BIN + "lint-imports"],
}
# More processes than cores, as many tests wait for programs that they have started.
TESTS = ["-m", "pytest", "--numprocesses", "3", "--dist", "worksteal"]

# Two processes that each have threads which spin while they wait would keep each other waiting; the
# program `dlcli` sees to that itself, but tests import torch before.
ENVIRONMENT = {"GOMP_SPINCOUNT": "2000", **os.environ}


@dataclass(frozen=True)
class Outcome:
    """How a check went."""

    name: str
    is_fine: bool
    text: str  # what it printed, unless that was shown at once
    seconds: float


def run(name: str, command: list[str], *, is_shown: bool = False) -> Outcome:
    """Run a check's command; with `is_shown`, what it prints is shown as it comes."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=None if is_shown else subprocess.PIPE,
        stderr=None if is_shown else subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(name, not done.returncode, done.stdout or "", time.perf_counter() - started)


def checks() -> Iterator[Outcome]:
    """Run the checks that read the code, two at a time, and then the tests."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(run, STATIC, STATIC.values())
    if "DLCLI_COVERAGE" not in os.environ:
        yield run("tests and docs", [sys.executable, *TESTS], is_shown=True)
        return
    yield run("tests and docs", [BIN + "coverage", "run", *TESTS], is_shown=True)
    combined = run("coverage's parts", [BIN + "coverage", "combine"])
    # A process that is killed while it writes its part leaves one that can't be read.
    damaged = re.search(r"Combined 0 files|([1-9]\d*) files? errored", combined.text)
    yield Outcome(combined.name, combined.is_fine and not damaged, combined.text, combined.seconds)
    yield run("coverage", [BIN + "coverage", "report", "--skip-covered", "--fail-under=95"])


def main() -> int:
    """Run the checks; return 1 where one failed."""
    failed = []
    started = time.perf_counter()
    for outcome in checks():
        verdict = "fine" if outcome.is_fine else "failed"
        print(f"{outcome.text}== {outcome.name}: {verdict}, {outcome.seconds:.0f} s\n", flush=True)
        if not outcome.is_fine:
            failed.append(outcome.name)
    print(f"failed: {', '.join(failed)}" if failed else "every check is fine")
    print(f"{time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
