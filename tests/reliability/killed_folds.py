"""Folds that are killed again and again: `python -m tests.reliability.killed_folds 20`.

An ensemble by cross-validation, of several stacks, with dropout, is killed by SIGKILL at random
moments and resumed, so often, and then left alone. Nothing may differ, to the bit, from one that
was never killed: the networks, their weights in the ensemble, the predictions out of fold.
"""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.reliability import forked
from tests.reliability.configs import write_config


def kill_folds(num_kills: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Kill runs so often; return what was counted and what went wrong."""
    random.seed(0)
    counts: Counter[str] = Counter()
    folds = {"folds": 4, "repeats": 5, "weights": "greedy"}
    config = write_config(folder / "c.yaml", "adam", "step", folds=folds, report=False)
    screen = folder / "screen.txt"
    straight, killed = folder / "straight", folder / "killed"
    command = ["train", str(config), "--set", "training.epochs=12", "--resume", "--run-dir"]
    begun = time.monotonic()
    if code := forked.start([*command, str(straight)], screen).wait():
        return counts, [f"exit code {code}: {screen.read_text('utf-8')[-2000:]}"]
    longest = time.monotonic() - begun
    while True:
        after = random.uniform(0.1, 0.9) * longest if counts["kills"] < num_kills else 600
        before = num_networks(killed)
        code = forked.start([*command, str(killed)], screen).kill(signal.SIGKILL, after)
        counts["after new networks"] += num_networks(killed) > before and code < 0
        if code == -signal.SIGKILL:
            counts["kills"] += 1
            continue
        if code:
            return counts, [f"exit code {code}: {screen.read_text('utf-8')[-2000:]}"]
        counts["runs"] += 1
        if found := differences(straight, killed):
            return counts, found
        if counts["kills"] >= num_kills:
            return counts, []
        killed = folder / f"killed-{counts['runs']}"


def differences(first: Path, second: Path) -> list[str]:
    """Return which files of two run folders differ, those with times in them apart."""
    names = ["ensemble.json", "out_of_fold.parquet", "metrics.jsonl"]
    names += [f"members/{path.name}" for path in (first / "members").iterdir()]
    return [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()]


def num_networks(run: Path) -> int:
    """Return how many networks a run has finished."""
    return len([*(run / "members").glob("*.safetensors")])


def main(num_kills: int) -> int:
    """Kill, print what was counted, and return 1 where something differs."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = kill_folds(num_kills, Path(folder))
    print("\n".join(wrong), file=sys.stderr)
    print(
        f"{counts['kills']} kills, {counts['after new networks']} after new networks, "
        f"{counts['runs']} runs, {len(wrong)} differing; {time.monotonic() - begun:.0f} s"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
