"""Runs that are stopped at random moments: `python -m tests.reliability.signals 200`.

A SIGINT, a SIGTERM, a SIGUSR1, a SIGUSR2, a SIGHUP or two SIGINTs come while a small real run
starts, trains, validates or saves. It must end with the exit code of its signal (or with 0, had it
just come to its end, or ignored SIGHUP), without a traceback, leave nothing half-written, and go on
to the same bits as a run that was left alone.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.reliability import forked
from tests.reliability.comparing import differences
from tests.reliability.configs import write_config

_KINDS = {
    "SIGINT": ([signal.SIGINT], 130),
    "SIGTERM": ([signal.SIGTERM], 143),
    "SIGUSR1": ([signal.SIGUSR1], 138),
    "SIGUSR2": ([signal.SIGUSR2], 140),
    "SIGHUP": ([signal.SIGHUP], 129),  # before training starts
    "two SIGINTs": ([signal.SIGINT, signal.SIGINT], 130),
}
_RESUME_HINT = "resume: dlcli train"


def stop_runs(num_signals: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Stop so many runs; return what was counted and what went wrong."""
    random.seed(0)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    # As many validation rows as training rows: a good part of the time goes to them.
    config = write_config(folder / "c.yaml", "adam", "step")
    command = ["train", str(config), "--set", "data.split={validation: 0.45, test: 0.1}"]
    command += ["--set", "checkpoint.every_steps=2", "--resume", "--run-dir"]
    straight, screen = folder / "straight", folder / "screen.txt"
    forked.start([*command, str(straight)], screen).wait()
    begun = time.monotonic()
    forked.start([*command, str(folder / "again")], screen).wait()
    duration = time.monotonic() - begun
    for number in range(num_signals):
        kind = list(_KINDS)[number % len(_KINDS)]
        run = folder / str(number)
        code = _stop(forked.start([*command, str(run)], screen), kind, duration)
        text = screen.read_text("utf-8")
        counts[_stage(run)] += 1
        counts["done before"] += code == 0
        if code not in (0, _KINDS[kind][1]) or "Traceback" in text:
            wrong.append(f"{number}: {kind}: exit code {code}: {text[-2000:]}")
        if run.exists() and (left := [path.name for path in run.glob(".*")]):
            wrong.append(f"{number}: {kind}: left {left}")
        can_go_on = code and run.exists() and not _is_complete(run)
        if kind != "two SIGINTs" and can_go_on and _RESUME_HINT not in text:
            wrong.append(f"{number}: {kind}: it doesn't say how to resume: {text[-500:]}")
        if code := forked.start([*command, str(run)], screen).wait():
            wrong.append(
                f"{number}: {kind}: resumed, exit code {code}: {screen.read_text('utf-8')}"
            )
            continue
        wrong += [f"{number}: {kind}: {what}" for what in differences(straight, run)]
    return counts, wrong


def _stop(run: forked.Forked, kind: str, duration: float) -> int:
    numbers, _ = _KINDS[kind]
    time.sleep(0.02 + random.uniform(0, duration))
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(run.pid, number)
        time.sleep(random.uniform(0.0005, 0.01))
    return run.wait()


def _is_complete(run: Path) -> bool:
    """Whether the signal came when all was done but for telling so."""
    summary = run / "summary.json"
    return summary.exists() and json.loads(summary.read_text("utf-8"))["stop_reason"] == "epochs"


def _stage(run: Path) -> str:
    """Say how far a run had come when it was stopped."""
    if not run.exists():
        return "at the start"
    return "in training" if (run / "last.safetensors").exists() else "before the first save"


def main(num_signals: int) -> int:
    """Stop runs, print what was counted, and return 1 where something went wrong."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = stop_runs(num_signals, Path(folder))
    print("\n".join(wrong), file=sys.stderr)
    stages = ", ".join(f"{count} {stage}" for stage, count in counts.items())
    print(f"{num_signals} signals: {stages}; {len(wrong)} wrong; {time.monotonic() - begun:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
