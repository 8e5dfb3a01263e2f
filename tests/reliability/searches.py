"""Searches that are killed again and again: `python -m tests.reliability.searches 20`.

A small real search, with successive halving, layers of several sizes and dropout, is killed by
SIGKILL at random moments and resumed, so often, and then left alone. Nothing may differ, to the
bit, from a search that was never killed: the rounds, the trials, the results, `best.yaml`.
"""

import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.reliability import forked
from tests.reliability.configs import write_config

_FILES = ("search.json", "trials.csv", "best.yaml", "config.yaml", "ensemble.json")
_TIMES = ("seconds", "seconds_a_step")
_TUNE = {
    "space": {
        "optimizer.lr": {"log": [1e-3, 0.3]},
        "optimizer.weight_decay": {"log": [1e-5, 1e-1]},
        "model.layers[0].units": {"choice": [4, 8]},
        "model.layers[2].rate": {"uniform": [0, 0.5]},
    },
    "trials": 8,
    "halving": {"factor": 2},
    "metric": "balanced_accuracy",
}


def kill_search(num_kills: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Kill one search so often; return what was counted and what went wrong."""
    random.seed(0)
    counts: Counter[str] = Counter()
    config = write_config(folder / "c.yaml", "adam", "step", tune=_TUNE, report=False)
    screen = folder / "screen.txt"
    straight, killed = folder / "straight", folder / "killed"
    command = ["tune", str(config), "--set", "training.epochs=6", "--resume", "--run-dir"]
    begun = time.monotonic()
    if code := forked.start([*command, str(straight)], screen).wait():
        return counts, [f"exit code {code}: {screen.read_text('utf-8')[-2000:]}"]
    longest = time.monotonic() - begun
    while True:
        after = random.uniform(0.05, 0.4) * longest if counts["kills"] < num_kills else 600
        before = _num_lines(killed)
        code = forked.start([*command, str(killed)], screen).kill(signal.SIGKILL, after)
        counts["after new trials"] += _num_lines(killed) > before and code < 0
        if code == -signal.SIGKILL:
            counts["kills"] += 1
        elif code or counts["kills"] >= num_kills:
            break
        else:  # it had come to its end: begin another one
            counts["searches"] += 1
            if found := differences(straight, killed):
                return counts, found
            killed = folder / f"killed-{counts['searches']}"
    counts["searches"] += 1
    if code:
        return counts, [f"exit code {code}: {screen.read_text('utf-8')[-2000:]}"]
    return counts, differences(straight, killed)


def differences(first: Path, second: Path) -> list[str]:
    """Return what differs between the folders of two searches, times apart."""
    found = [name for name in _FILES if (first / name).read_bytes() != (second / name).read_bytes()]
    names = ("runs.jsonl", "rounds.jsonl")
    return found + [name for name in names if _lines(first / name) != _lines(second / name)]


def _lines(path: Path) -> list[str]:
    """Return the lines of a file in an order of their own: trials end in any order."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(
        json.dumps({k: v for k, v in line.items() if k not in _TIMES}, sort_keys=True)
        for line in lines
    )


def _num_lines(run: Path) -> int:
    runs = run / "runs.jsonl"
    return runs.read_bytes().count(b"\n") if runs.exists() else 0


def main(num_kills: int) -> int:
    """Kill, print what was counted, and return 1 where something differs."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = kill_search(num_kills, Path(folder))
    print("\n".join(wrong), file=sys.stderr)
    print(
        f"{counts['kills']} kills, {counts['after new trials']} after new trials, "
        f"{counts['searches']} searches, {len(wrong)} differing; {time.monotonic() - begun:.0f} s"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
