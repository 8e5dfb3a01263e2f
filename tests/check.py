"""Run every check, all of them even when one fails: `python -m tests.check`."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = str(Path(sys.executable).parent) + "/"

CHECKS: dict[str, list[str]] = {
    "format": [BIN + "ruff", "format", "--check", "."],
    "lint": [BIN + "ruff", "check", "."],
    "types": [BIN + "mypy"],
    "import layers": [BIN + "lint-imports"],
    "tests and docs": [
        *(BIN + "coverage", "run", "-m", "pytest"),
        *("--numprocesses", "2", "--dist", "worksteal"),
    ],
    "coverage's parts": [BIN + "coverage", "combine", "--quiet"],
    "coverage": [BIN + "coverage", "report", "--skip-covered", "--fail-under=95"],
}

# Two processes that each have threads which spin while they wait would keep each other waiting; the
# program `dlcli` sees to that itself, but tests import torch before.
ENVIRONMENT = {"GOMP_SPINCOUNT": "2000", **os.environ}


def main() -> int:
    """Run the checks; return 1 where one failed."""
    failed = []
    for name, command in CHECKS.items():
        print(f"== {name}: {Path(command[0]).name} {' '.join(command[1:])}", flush=True)
        started = time.perf_counter()
        code = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False).returncode
        print(f"== {name}: {'failed' if code else 'fine'}, {time.perf_counter() - started:.0f} s\n")
        if code:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "every check is fine")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
