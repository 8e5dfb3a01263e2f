"""Many trials, killed again and again: `python -m tests.reliability.killed_trials WHAT KILLS`.

WHAT is `folds`, `searches`, `searches-on-folds` or `comparisons`. A small real one, of several
stacks, with dropout, is killed by SIGKILL at random moments and resumed, so often, and then left
alone. Nothing may differ, to the bit, from one that was never killed, times apart.
"""

import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reliability import forked
from tests.reliability.configs import write_config

_TIMES = {"seconds", "seconds_a_step"}


@dataclass(frozen=True)
class Campaign:
    """A command, and what it leaves."""

    command: str
    sections: dict[str, Any]  # of its config
    num_epochs: int
    latest: float  # a kill, as a share of the time that the command takes
    files: tuple[str, ...]  # that may not differ in a byte; patterns
    documents: tuple[str, ...]  # the same but for times, and for the order of lines
    trials: str  # the file with a line for each finished trial

    def differences(self, first: Path, second: Path) -> list[str]:
        """Return which files of two run folders differ."""
        names = [path.relative_to(first) for files in self.files for path in first.glob(files)]
        assert names, "it leaves files"
        found = [
            str(name)
            for name in names
            if not (second / name).exists()
            or (first / name).read_bytes() != (second / name).read_bytes()
        ]
        return found + [
            name for name in self.documents if _lines(first / name) != _lines(second / name)
        ]

    def num_finished(self, run: Path) -> int:
        """Return how many trials a run has finished."""
        trials = run / self.trials
        return trials.read_bytes().count(b"\n") if trials.exists() else 0


_SPACE = {
    "optimizer.lr": {"log": [1e-3, 0.3]},
    "optimizer.weight_decay": {"log": [1e-5, 1e-1]},
    "model.layers[0].units": {"choice": [4, 8]},
    "model.layers[2].rate": {"uniform": [0, 0.5]},
}
_TUNE = {
    "space": _SPACE,
    "trials": 8,
    "halving": {"factor": 2},
    "metric": "balanced_accuracy",
}
CAMPAIGNS = {
    "folds": Campaign(
        "train",
        {"folds": {"folds": 4, "repeats": 5, "weights": "greedy"}},
        num_epochs=12,
        latest=0.9,
        files=("ensemble.json", "out_of_fold.parquet", "metrics.jsonl", "members/*"),
        documents=("folds.jsonl",),
        trials="folds.jsonl",
    ),
    "searches": Campaign(
        "tune",
        {"tune": _TUNE},
        num_epochs=6,
        latest=0.4,
        files=("search.json", "trials.csv", "best.yaml", "config.yaml", "ensemble.json"),
        documents=("runs.jsonl", "rounds.jsonl"),
        trials="runs.jsonl",
    ),
    "searches-on-folds": Campaign(
        "tune",
        {"tune": {**_TUNE, "folds": 3}},
        num_epochs=6,
        latest=0.6,
        files=("search.json", "trials.csv", "best.yaml", "ensemble.json", "members/*"),
        documents=("runs.jsonl", "rounds.jsonl"),
        trials="runs.jsonl",
    ),
    "comparisons": Campaign(
        "compare-optimizers",
        {"compare": {"optimizers": ["sgd", "adam"], "tuning_seeds": 2, "seeds": 3}},
        num_epochs=6,
        latest=0.6,
        files=("config.yaml", "recommended.yaml"),
        documents=("runs.jsonl",),
        trials="runs.jsonl",
    ),
}


def kill(campaign: Campaign, num_kills: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Kill runs so often; return what was counted and what went wrong."""
    random.seed(0)
    counts: Counter[str] = Counter()
    config = write_config(folder / "c.yaml", "adam", "step", report=False, **campaign.sections)
    screen, straight = folder / "screen.txt", folder / "straight"
    command = [campaign.command, str(config), "--resume"]
    command += ["--set", f"training.epochs={campaign.num_epochs}", "--run-dir"]
    begun = time.monotonic()
    code = forked.start([*command, str(straight)], screen).wait()
    longest = time.monotonic() - begun
    killed = folder / "killed"
    while code == 0:
        after = random.uniform(0.05, campaign.latest) * longest
        before = campaign.num_finished(killed)
        run = forked.start([*command, str(killed)], screen)
        code = run.kill(signal.SIGKILL, after if counts["kills"] < num_kills else 600)
        if code == -signal.SIGKILL:
            counts["kills"] += 1
            counts["after new trials"] += campaign.num_finished(killed) > before
            code = 0
        elif code == 0:
            counts["runs"] += 1
            found = campaign.differences(straight, killed)
            if found or counts["kills"] >= num_kills:
                return counts, found
            killed = folder / f"killed-{counts['runs']}"
    return counts, [f"exit code {code}: {screen.read_text('utf-8')[-2000:]}"]


def _lines(path: Path) -> list[str]:
    """Return the lines of a file without times, in an order of their own: trials end in any."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(
        json.dumps({k: v for k, v in line.items() if k not in _TIMES}, sort_keys=True)
        for line in lines
    )


def main(what: str, num_kills: int) -> int:
    """Kill, print what was counted, and return 1 where something differs."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = kill(CAMPAIGNS[what], num_kills, Path(folder))
    print("\n".join(wrong), file=sys.stderr)
    print(
        f"{counts['kills']} kills, {counts['after new trials']} after new trials, "
        f"{counts['runs']} {what}, {len(wrong)} differing; {time.monotonic() - begun:.0f} s"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
