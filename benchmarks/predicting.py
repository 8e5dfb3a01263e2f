"""`dlcli predict` beside polars and a bare module: a part of `python -m benchmarks.performance`."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.workloads import WORKLOADS, write_workload

NUM_ROWS = 1_000_000
MOST = 1.5  # times the bare program, which writes nothing
_BARE = """
import sys, polars, torch
from torch import nn
features = torch.from_numpy(polars.read_parquet(sys.argv[1]).to_numpy())
sizes = list(map(int, sys.argv[2].split(",")))
layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
network = nn.Sequential(*layers[:-1]).eval()
with torch.inference_mode():
    torch.cat([torch.sigmoid(network(batch)) for batch in features.split(65536)])
"""


def measure(folder: Path, num_rounds: int) -> list[tuple[float, float]]:
    """Return the seconds of dlcli and of the bare program, a pair a round."""
    workload = WORKLOADS["tiny"]
    config, _ = write_workload(workload, folder)
    run, table = folder / "run", folder / "rows.parquet"
    train = [
        "train",
        str(config),
        "--set",
        "training.epochs=1",
        "--set",
        "report=false",
        "--run-dir",
        str(run),
    ]
    _seconds([sys.executable, "-m", "dlcli", *train])
    random = np.random.default_rng(0)
    names = [f"x{index}" for index in range(workload.num_features)]
    columns = {name: random.normal(size=NUM_ROWS).astype(np.float32) for name in names}
    pl.DataFrame(columns).write_parquet(table)
    predict = ["predict", str(run), str(table), "-o", str(folder / "answers.parquet")]
    sizes = ",".join(map(str, [workload.num_features, *workload.units, 1]))
    return [
        (
            _seconds([sys.executable, "-m", "dlcli", *predict]),
            _seconds([sys.executable, "-c", _BARE, str(table), sizes]),
        )
        for _ in range(num_rounds)
    ]


def lines(pairs: list[tuple[float, float]]) -> tuple[list[str], bool]:
    """Return the section's lines, and whether the figure is met."""
    own, bare = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    reached = statistics.median(first / second for first, second in pairs)
    return [
        "## Predicting",
        "",
        f"`dlcli predict` of {NUM_ROWS:,} rows of 20 from Parquet to Parquet, in blocks, beside",
        "a program that reads the file with polars, runs the bare module in batches of 65,536 and",
        "writes nothing; whole processes.",
        "",
        "| dlcli | the bare program | ratio | asked | |",
        "|---|---|---|---|---|",
        f"| {own:.1f} s | {bare:.1f} s | {reached:.2f} | ≤ {MOST:g} | "
        f"{'met' if reached <= MOST else 'missed'} |",
    ], reached <= MOST


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun
