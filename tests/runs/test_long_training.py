"""A hundred thousand epochs keep what they leave behind, and what they hold, small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

EPOCHS = 100_000
CONFIG = """
data: {path: table.csv, target: y, split: {validation: 0.2}}
model: {layers: [{type: dense, units: 2, activation: tanh}, {type: dense}]}
optimizer: {type: adam, lr: 0.001}
training: {batch_size: full}
"""


def train(run: str, num_epochs: int) -> float:
    """Train with a log in a file beside the run; return the most memory it held, in MB."""
    options = ("--run-dir", run, "--set", f"training.epochs={num_epochs}")
    with Path(f"{run}.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlcli", "train", "config.yaml", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, Path(f"{run}.txt").read_text("utf-8")[-2000:]
    return usage.ru_maxrss / 1024


@pytest.mark.campaign
def test_log_page_and_memory_stay_small_over_a_hundred_thousand_epochs() -> None:
    rows = "".join(f"{row / 20},{(row / 20) ** 2}\n" for row in range(20))
    Path("table.csv").write_text(f"x,y\n{rows}", "utf-8")
    Path("config.yaml").write_text(CONFIG, "utf-8")
    memory = {epochs: train(f"run{epochs}", epochs) for epochs in (30, EPOCHS)}
    long, short = Path(f"run{EPOCHS}"), Path("run30")
    log = long.with_name(f"{long.name}.txt").read_text("utf-8")
    sizes = {path.name: path.stat().st_size for path in long.iterdir() if path.is_file()}
    assert 1000 < sum(line.startswith("epoch ") for line in log.splitlines()) < 10_000
    assert len(log) < 1_500_000
    assert (long / "metrics.jsonl").read_bytes().count(b"\n") == EPOCHS
    assert sizes["metrics.jsonl"] < 400 * EPOCHS
    assert sizes["report.html"] < (short / "report.html").stat().st_size + 400_000
    assert sum(sizes.values()) - sizes["metrics.jsonl"] < 5_000_000
    assert memory[EPOCHS] < memory[30] + 80
