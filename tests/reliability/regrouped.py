"""Runs killed and resumed by other numbers of processes: `python -m tests.reliability.regrouped N`.

Small real runs, every optimizer with a schedule, dropout, batch normalisation and accumulated
batches, each cut into four shards, are killed at random moments and resumed by 1, 2 or 4 processes,
until they come to their end. Then nothing may differ, to the bit, from the same run by one process
without a kill.
"""

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

from tests.reliability import forked, ranks
from tests.reliability.comparing import differences
from tests.reliability.configs import OPTIMIZERS, SCHEDULES, write_config

_COUNTED = ("kills", "in training", "with another number", "runs", "differing", "failed")
_SECONDS = (0.3, 1.6)  # from a run's start to its kill: little is done by then, or nearly all
_SHARDS = 4
_NUMBERS = (1, 2, 4)
_TRAINING = {"shards": _SHARDS, "epochs": 8}


def kill_runs(num_kills: int, folder: Path, counts: Counter[str]) -> None:
    """Kill so often, and count what happened and went wrong."""
    schedules = cycle(SCHEDULES)
    while counts["kills"] < num_kills:
        for optimizer in OPTIMIZERS:
            if counts["kills"] < num_kills:
                _kill_run(optimizer, next(schedules), folder, num_kills, counts)


def _kill_run(
    optimizer: str, schedule: str, folder: Path, num_kills: int, counts: Counter[str]
) -> None:
    name = f"{optimizer}_{schedule}"
    config = write_config(folder / f"{name}.yaml", optimizer, schedule, training=_TRAINING)
    command = ["train", str(config), "--resume", "--set", "checkpoint.every_steps=1", "--run-dir"]
    straight, killed, screen = folder / name, folder / "killed", folder / "0.txt"
    if not straight.exists() and forked.start([*command, str(straight)], screen).wait():
        raise RuntimeError(screen.read_text("utf-8"))
    before = None
    while True:
        number = random.choice(_NUMBERS)
        is_last = counts["kills"] >= num_kills
        started = ranks.start([[*command, str(killed)]] * number, folder)
        codes = started.end(120) if is_last else started.kill(after=random.uniform(*_SECONDS))
        if is_last or not any(codes):
            break
        counts["kills"] += 1
        counts["in training"] += (killed / "last.safetensors").exists()
        counts["with another number"] += before not in (None, number)
        before = number
        if any(code not in (0, -9) for code in codes):
            break
    counts["runs"] += 1
    if any(codes):
        counts["failed"] += 1
        print(f"{name} by {number}: {codes}", *started.texts(), sep="\n", file=sys.stderr)
    elif found := differences(straight, killed):
        counts["differing"] += 1
        print(f"{name}: {found}", file=sys.stderr)
    shutil.rmtree(killed, ignore_errors=True)


def main(num_kills: int) -> int:
    """Kill, print what was counted, and return 1 where something went wrong."""
    begun = time.monotonic()
    random.seed(0)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        kill_runs(num_kills, Path(temporary), counts)
    print(", ".join(f"{counts[what]} {what}" for what in _COUNTED))
    print(f"{time.monotonic() - begun:.0f} s")
    return int(bool(counts["differing"] or counts["failed"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
