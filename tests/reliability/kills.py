"""Runs that are killed again and again: `python -m tests.reliability.kills 10000`.

Small real runs, every optimizer with a schedule, dropout and accumulated batches, are killed by
SIGKILL at random moments and resumed, until they come to their end. Then nothing may differ, to the
bit, from the same run without a kill; and at no time may there be no checkpoint to go on from.
"""

import multiprocessing
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path

from dlcli.errors import CheckpointError
from dlcli.training.saving.checkpoint import load_checkpoint
from tests.reliability import forked
from tests.reliability.comparing import differences
from tests.reliability.configs import OPTIMIZERS, SCHEDULES, write_config

_COUNTED = ("kills", "after new saves", "runs", "unreadable", "differing", "failed")
_NUM_WORKERS = 2
_SECONDS = (0.1, 0.3)  # from a run's start to its kill: little is done by then, or nearly all
_SAVES = {
    "every step": "checkpoint.every_steps=1",
    "every 5 ms": "checkpoint.every_seconds=0.005",
}


def kill_runs(num_kills: int, folder: Path, seed: int) -> Counter[str]:
    """Kill so often, and count: kills, runs, kills within training, and whatever went wrong."""
    random.seed(seed)
    folder.mkdir()
    counts: Counter[str] = Counter()
    schedules, saves = cycle(SCHEDULES), cycle(_SAVES)
    while counts["kills"] < num_kills:
        for optimizer in OPTIMIZERS:
            if counts["kills"] >= num_kills:
                break
            _kill_run(optimizer, next(schedules), next(saves), folder, num_kills, counts)
    return counts


def _kill_run(
    optimizer: str, schedule: str, save: str, folder: Path, num_kills: int, counts: Counter[str]
) -> None:
    name = f"{optimizer}_{schedule}"  # how often it saves makes no difference to what it comes to
    config = write_config(folder / f"{name}.yaml", optimizer, schedule)
    command = ["train", str(config), "--resume", "--set", _SAVES[save], "--run-dir"]
    straight, killed, screen = folder / name, folder / "killed", folder / "screen.txt"
    code = 0 if straight.exists() else forked.start([*command, str(straight)], screen).wait()
    while code == 0:
        after = random.uniform(*_SECONDS) if counts["kills"] < num_kills else 60
        before = _stamp(killed)
        code = forked.start([*command, str(killed)], screen).kill(signal.SIGKILL, after)
        if code == 0:
            break
        if code == -signal.SIGKILL:
            code = 0
            counts["kills"] += 1
            counts["after new saves"] += _stamp(killed) != before
            counts["unreadable"] += not _is_sound(killed)
    counts["runs"] += 1
    if code != 0:
        counts["failed"] += 1
        print(f"{name}: exit code {code}\n{screen.read_text()[-2000:]}", file=sys.stderr)
    elif found := differences(straight, killed):
        counts["differing"] += 1
        print(f"{name}: {found}", file=sys.stderr)
    shutil.rmtree(killed, ignore_errors=True)


def _stamp(run: Path) -> int:
    last = run / "last.safetensors"
    return last.stat().st_mtime_ns if last.exists() else 0


def _is_sound(run: Path) -> bool:
    """Whether the last checkpoint can be read, or none has been there yet."""
    last, previous = run / "last.safetensors", run / "previous.safetensors"
    try:
        if last.exists():
            load_checkpoint(last)
        return last.exists() or not previous.exists()
    except CheckpointError:
        return False


def main(num_kills: int) -> int:
    """Kill, print what was counted, and return 1 where something went wrong."""
    begun = time.monotonic()
    seeds = range(_NUM_WORKERS)
    with (
        tempfile.TemporaryDirectory() as temporary,
        ProcessPoolExecutor(_NUM_WORKERS, multiprocessing.get_context("fork")) as workers,
    ):
        folders = [Path(temporary) / str(seed) for seed in seeds]
        shares = [len(range(seed, num_kills, _NUM_WORKERS)) for seed in seeds]
        counts = sum(workers.map(kill_runs, shares, folders, seeds), Counter())
    print(", ".join(f"{counts[what]} {what}" for what in _COUNTED))
    print(f"{time.monotonic() - begun:.0f} s")
    return int(bool(counts["differing"] or counts["unreadable"] or counts["failed"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
