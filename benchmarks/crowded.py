"""Training beside another busy program: a part of `python -m benchmarks.performance`.

`python -m benchmarks.crowded` prints it alone.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.workloads import WORKLOADS, write_workload

PROGRAMS = {
    "as long as dlcli says": ["-m", "dlcli"],
    # torch is loaded before dlcli can say anything.
    "as long as OpenMP has them": [
        "-c",
        "import torch, sys; from dlcli.cli.app import run; sys.exit(run(sys.argv[1:]))",
    ],
}
EPOCHS = 2


@contextmanager
def busy_program(*, is_there: bool) -> Iterator[None]:
    """Keep one core busy meanwhile."""
    if not is_there:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def epoch_seconds(config: Path, program: list[str]) -> float:
    """Return what an epoch takes on two threads."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = [f"training.epochs={EPOCHS}", "training.threads=2"]
        command = [sys.executable, *program, "train", str(config), "--run-dir", str(run)]
        command += ["--set", "report=false"]  # no other one draws one
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True, capture_output=True)
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return statistics.median(float(json.loads(line)["seconds"]) for line in lines)


def lines(folder: Path) -> list[str]:
    """Return the section's lines."""
    text = [
        "## Beside another program",
        "",
        "An epoch of *wide* on two threads, alone and beside a program that keeps one core busy.",
        "What differs is how long threads spin that wait for each other: dlcli sets GNU OpenMP's",
        "`GOMP_SPINCOUNT` to 2,000, unless it or `OMP_WAIT_POLICY` is set.",
        "",
        "| threads spin | alone | beside | times as long |",
        "|---|---|---|---|",
    ]
    config, _ = write_workload(WORKLOADS["wide"], folder)
    for how_long, program in PROGRAMS.items():
        seconds = []
        for is_there in (False, True):
            with busy_program(is_there=is_there):
                seconds.append(epoch_seconds(config, program))
        alone, beside = seconds
        text.append(f"| {how_long} | {alone:.1f} s | {beside:.1f} s | {beside / alone:.1f} |")
    return text


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print("\n".join(lines(Path(temporary))))
