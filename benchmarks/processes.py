"""Steps of one network on several processes, measured and as `dlcli` estimates them.

    python -m benchmarks.processes [--rounds 5] [--write]

Every process has one thread. Rounds take turns; a ratio is the median over rounds. `--write` writes
docs/measurements/processes.md, with what the estimate's formula gives for up to 1,000 processes on
links that are assumed. PyTorch's DistributedDataParallel takes its turn beside dlcli. Exits with 1
where a figure misses what is asked for.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from benchmarks.workloads import PART, WORKLOADS, write_workload
from dlcli.training.processes.estimate import Link

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "measurements" / "processes.md"
DDP = ROOT / "benchmarks" / "peers" / "with_ddp.py"
NUMBERS = (1, 2, 4)
BATCHES = {"wide": (128, 1024), "small": (128,)}
SPEEDUP = 1.7  # asked for, of wide with its batches of 128 rows on 2 processes
TOLERANCE = 0.2  # of the estimates
_ESTIMATE = re.compile(r"([\d.e+]+) ms on (\d+)")
# Carried on: a network of so many parameters, the seconds of a row on one processor, rows a step.
NETWORK = (100_000_000, 1e-4, 8_192)
LINKS = {"10 Gbit/s, 50 µs": Link(50e-6, 8e-10), "400 Gbit/s, 5 µs": Link(5e-6, 2e-11)}
HEADER = """# Several processes

Made by `python -m benchmarks.processes --write`: [one network on several
processes](../guides/processes.md) of one thread each. A step is an epoch without validation rows,
over its steps; the estimate is what the start of a run on two processes, or on four, says. DDP is
the same network with PyTorch's DistributedDataParallel and a DataLoader, one thread a process too,
by `torchrun`: its step, which gives other weights for each number of processes.
"""
CARRIED = """
## Up to 1,000 processes

What the estimate's formula gives: computing is shared evenly, and an exchange takes
`(N − 1) × latency + 2 (N − 1) / N × bytes / bandwidth`. Assumed: {parameters:,} parameters in
float32, {row:.1f} ms of computing a row on one process, {rows:,} rows a step, links as named,
nothing else on them, and no overlap of computing and exchanging, which dlcli doesn't have. Nobody
has measured these.
"""


def train(config: Path, folder: Path, number: int, *settings: str) -> tuple[float, str]:
    """Return the median seconds of an epoch's steps, and what the start of the run showed."""
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-m", "dlcli", "train", str(config), "--run-dir", str(run_dir / "r")]
    command += ["--processes", str(number)]
    for setting in ("report=false", "training.threads=1", "training.epochs=4", *settings):
        command += ["--set", setting]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (run_dir / "r" / "metrics.jsonl").read_text("utf-8").splitlines()
    return statistics.median(json.loads(line)["seconds"] for line in lines[1:]), done.stdout


def train_ddp(spec: Path, batch_size: int, number: int) -> float:
    """Return the median seconds of a step of DistributedDataParallel."""
    about = json.loads(spec.read_text("utf-8")) | {"batch_size": batch_size}
    spec.write_text(json.dumps(about), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={number}", str(DDP), str(spec), str(spec.parent)]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=threads, capture_output=True, text=True, check=True)
    steps: list[float] = json.loads(done.stdout)["steps"]
    return statistics.median(steps[1:])


def estimates(shown: str) -> dict[int, float]:
    """Return the estimated seconds of a step by the number of processes."""
    return {int(number): float(ms) / 1e3 for ms, number in _ESTIMATE.findall(shown)}


def measure(name: str, batch_size: int, folder: Path, num_rounds: int) -> dict[int, list[float]]:
    """Return by the number of processes a step's seconds, their estimate, DDP's, and the speedup.

    Medians over rounds.
    """
    config, spec = write_workload(WORKLOADS[name], folder)
    table = pl.read_csv(config.with_suffix(".csv")).filter(pl.col(PART) == "train").drop(PART)
    table.write_csv(folder / "train.csv")
    settings = (f"training.batch_size={batch_size}", "data.split={}", "data.path=train.csv")
    rounds: dict[int, list[tuple[float, float, float]]] = {number: [] for number in NUMBERS}
    for _ in range(num_rounds):
        seen: dict[int, list[float]] = {}
        steps, ddp = {}, {}
        for number in NUMBERS:
            seconds, shown = train(config, folder, number, *settings)
            steps[number] = seconds / -(-len(table) // batch_size)
            ddp[number] = train_ddp(spec, batch_size, number)
            for count, estimate in estimates(shown).items():
                seen.setdefault(count, []).append(estimate)
        for number in NUMBERS:
            rounds[number].append((steps[number], statistics.median(seen[number]), ddp[number]))
        print(f"{name}, batches of {batch_size}: {steps}, DDP {ddp}", flush=True)
    return {
        number: [statistics.median(column) for column in zip(*some, strict=True)]
        + [statistics.median(rounds[1][i][0] / one[0] for i, one in enumerate(some))]
        for number, some in rounds.items()
    }


def carried() -> Sequence[str]:
    """Return the lines of a table up to 1,000 processes."""
    parameters, row_seconds, num_rows = NETWORK
    lines = ["| processes | " + " | ".join(LINKS) + " |", "|---" * (len(LINKS) + 1) + "|"]
    alone = num_rows * row_seconds
    for number in (1, 2, 8, 32, 128, 512, 1000):
        seconds = [
            alone / number + link.exchange_seconds(4 * parameters, number)
            for link in LINKS.values()
        ]
        cells = [f"{one * 1e3:,.0f} ms, {alone / one:.0f} ×" for one in seconds]
        lines.append(f"| {number} | {' | '.join(cells)} |")
    return lines


def main() -> int:
    """Measure, print, and say whether every figure is what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    lines = [
        "| work load | rows a step | processes | a step | estimated | times as fast | DDP's step |",
        "|---|---|---|---|---|---|---|",
    ]
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, sizes in BATCHES.items():
            for size in sizes:
                found = measure(name, size, Path(temporary), arguments.rounds)
                for number, (step, estimate, ddp, speedup) in found.items():
                    lines.append(
                        f"| {name} | {size} | {number} | {step * 1e3:.2f} ms | "
                        f"{estimate * 1e3:.2f} ms | {speedup:.2f} | {ddp * 1e3:.2f} ms |"
                    )
                    if abs(estimate / step - 1) > TOLERANCE:
                        missed.append(f"the estimate of {name}, {size} rows, on {number}")
                if (name, size) == ("wide", 128) and found[2][-1] < SPEEDUP:
                    missed.append(f"{SPEEDUP} times as fast on two processes")
    parameters, row_seconds, rows = NETWORK
    text = CARRIED.format(parameters=parameters, row=row_seconds * 1e3, rows=rows)
    asked = f"Asked for: wide, 128 rows, {SPEEDUP} times as fast on 2; estimates within 20 %. "
    verdict = f"Missed: {', '.join(missed)}." if missed else "All of it is met."
    machine = f"{arguments.rounds} rounds, {os.cpu_count()} cores, {platform.python_version()}."
    page = "\n".join([HEADER, *lines, "", asked + verdict, machine, text, *carried(), ""])
    print(page)
    if arguments.write:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
